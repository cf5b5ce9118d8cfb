// Values, methods, extra files and tasks through the Swift module: values CALLERS.
//
// CALLERS is the model `callers` of models.py with an extra file labels.json. What is tried is printed, a line each.
import Foundation
import TorchLite

func report(_ name: String, _ text: String) {
    print("\(name): \(text.split(separator: "\n").joined(separator: " "))")
}

func catchError(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch {
        return "\(error)"
    }
}

let url = URL(fileURLWithPath: CommandLine.arguments[1])
let module = try Module(contentsOf: url, extraFiles: ["labels.json"])
let input = try Tensor([1, 2, 3, 4, 5, 6] as [Float], shape: [2, 3])
let mask = try Tensor([Float](repeating: 0.5, count: 6), shape: [2, 3])

func numbers(_ value: Value?) -> String {
    guard let tensor = value?.tensor else { return "no tensor" }
    let found: [Float]? = try? tensor.elements()
    return "\(tensor.shape) \(found ?? [])"
}

let named = try module.call("forward", [.tensor(input)])
report("dict", "\(numbers(named["out"])), \(numbers(named["sum"])), \(named.items.count) items")
let all = try module.call("forward", [.tensor(input), 10.0, Value(mask)])
report("float and tensor", numbers(all["sum"]))
report("none", numbers(try module.call("forward", [.tensor(input), 1.0, nil])["sum"]))
let found = try module.call("detect", [[.tensor(input), .tensor(mask)]])
report("tuple", "\(found[0]?.int ?? -1), \(found[1]?.items.count ?? -1)")
report("dict in list", "\(numbers(found[1]?[1]?["boxes"])), \(found[1]?[0]?["labels"]?.tensor?.dtype ?? .bool)")
let heard = try module.call("recognize", [.tensor(input), ["ä", "🙂"], nil])
report("strings", "\(heard[0]?.string ?? "-") | \(heard[1]?.items.compactMap(\.string) ?? [])")
let silent = try module.call("recognize", [.tensor(input)])
report("left out", "\(silent[0]?.string ?? "-"), \(numbers(silent[2]))")
let next = try module.call("recognize", [.tensor(input), nil, silent[2]!])
report("state", numbers(next[2]))
report("list", "\(try module.call("get_classes", []).items.compactMap(\.string))")
report("equal", "\(try module.call("forward", [.tensor(input)]) == named)")
report("shared bytes", "\(try input.elements() as [Float] == [1, 2, 3, 4, 5, 6])")

report("wrong kind", catchError { _ = try module.call("detect", [3]) })
report("too few", catchError { _ = try module.call("forward", []) })
report("no method", catchError { _ = try module.call("sing", []) })
var deep: Value = .tensor(input)
for _ in 0..<100 { deep = .list([deep]) }
report("too deep", catchError { _ = try module.call("detect", [deep]) })
report("not a file", catchError { _ = try Module(contentsOf: URL(string: "https://example.org/a.ptl")!) })

report("extra file", String(data: module.extraFile("labels.json") ?? Data(), encoding: .utf8) ?? "-")
report("another file", "\(module.extraFile("other.json") == nil)")
let again = try Module(data: try Data(contentsOf: url), extraFiles: ["labels.json", "none"])
report("from memory", "\(again.extraFile("labels.json") == module.extraFile("labels.json"))")
report("absent file", "\(again.extraFile("none") == nil)")
report("unnamed file", "\(try Module(contentsOf: url).extraFile("labels.json") == nil)")

let methods = try module.methods()
report("methods", methods.map(\.name).joined(separator: " "))
let forward = methods.first { $0.name == "forward" }!
report("signature", forward.text)
report(
    "inputs",
    forward.inputs.map { "\($0.name):\($0.type):\($0.isOptional):\($0.hasDefault)" }.joined(separator: " "))
let times = try module.profile { _ = try module.call("forward", [.tensor(input)]) }
report("profile", times.map { "\($0.name) \($0.calls)" }.joined(separator: ", "))
report("devices", Runtime.devices.joined(separator: " "))

final class Lines: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var all: [String] = []
    func add(_ line: String) { lock.lock(); all.append(line); lock.unlock() }
}
let lines = Lines()
try Runtime.setLog { kind, text in lines.add("\(kind) \(text)") }
_ = try module.call("talk", [.tensor(input)])
try Runtime.setLog(nil)
report("log", lines.all.joined(separator: "; "))

// Bytes that are a part of others need not be aligned.
let part = Data([0] + [UInt8](input.bytes))[1...]
let unaligned = try Tensor(dtype: .float32, shape: [2, 3], bytes: part)
report("unaligned", "\(try unaligned.elements() as [Float])")

let group = DispatchGroup()
group.enter()
Task {
    do {
        async let first = module.callAsync("forward", [.tensor(input)])
        async let second = module.callAsync("get_classes", [])
        let (one, two) = try await (first, second)
        report("tasks", "\(one == named), \(two.items.count)")
    } catch {
        report("tasks", "\(error)")
    }
    let cancelled = Task { try await module.callAsync("forward", [.tensor(input)]) }
    cancelled.cancel()
    do {
        _ = try await cancelled.value
        report("cancelled", "ran before")
    } catch {
        report("cancelled", "\(type(of: error))")
    }
    group.leave()
}
group.wait()
