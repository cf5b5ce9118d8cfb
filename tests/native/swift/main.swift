// Runs a model through the Swift module: program MODEL NEEDY INPUT SHAPE OUTPUT.
//
// INPUT holds float32 elements of SHAPE ("1,3,224,224"); OUTPUT gets those of the first output. What
// else is tried is printed, a line each.
import Foundation
import TorchLite

func catchError(_ body: () throws -> Void) -> String {
    do {
        try body()
        return "no error"
    } catch let error as TorchError {
        switch error {
        case .invalidArgument(let text): return "invalidArgument \(text)"
        case .loadFailed(let text): return "loadFailed \(text)"
        case .runFailed(let text): return "runFailed \(text)"
        case .unsupportedOutput(let text): return "unsupportedOutput \(text)"
        }
    } catch {
        return "another error: \(error)"
    }
}

func report(_ name: String, _ text: String) {
    print("\(name): \(text.split(separator: "\n").joined(separator: " "))")
}

let arguments = CommandLine.arguments
let url = URL(fileURLWithPath: arguments[1])
let shape = arguments[4].split(separator: ",").compactMap { Int($0) }
let bytes = try Data(contentsOf: URL(fileURLWithPath: arguments[3]))
let input = try Tensor(dtype: .float32, shape: shape, bytes: bytes)

let module = try Module(contentsOf: url)
let output = try module.forward(input)[0]
try output.bytes.write(to: URL(fileURLWithPath: arguments[5]))
let scores: [Float] = try output.elements()
report("shape", output.shape.map(String.init).joined(separator: ","))
report("count", "\(scores.count) of \(output.elementCount)")

let again = try Module(data: Data(contentsOf: url)).run("forward", [input])[0]
report("from memory", again.bytes == output.bytes ? "the same" : "another")

final class Tally: @unchecked Sendable {
    private let lock = NSLock()
    private(set) var count = 0
    func add() { lock.lock(); count += 1; lock.unlock() }
}
let same = Tally()
DispatchQueue.concurrentPerform(iterations: 4) { _ in
    if let outputs = try? module.forward(input), outputs[0].bytes == output.bytes { same.add() }
}
report("at the same time", "\(same.count) of 4")

report("version", Runtime.version)
report("operators", Runtime.operators.joined(separator: " "))
report("no file", catchError { _ = try Module(contentsOf: URL(fileURLWithPath: "/nowhere.ptl")) })
report("no model", catchError { _ = try Module(data: Data("no model".utf8)) })
report("not built for", catchError {
    _ = try Module(contentsOf: URL(fileURLWithPath: arguments[2]))
})
report("no input", catchError { _ = try module.forward() })
report("no method", catchError { _ = try module.run("backward", [input]) })
report("wrong type", catchError { let _: [Int32] = try output.elements() })
report("wrong size", catchError { _ = try Tensor([Float](repeating: 0, count: 5), shape: [2, 3]) })
report("overflow", catchError { _ = try Tensor([Float](), shape: [Int.max, 2]) })
report("scalar", "\(try Tensor(scalar: Int64(7)).shape.count) dimensions")
