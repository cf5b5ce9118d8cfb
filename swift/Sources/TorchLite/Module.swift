import Foundation
import LibTorchLite

/// What went wrong, in the runtime's own words.
public enum TorchError: Error, Equatable, Sendable {
    /// An input cannot be what it says it is.
    case invalidArgument(String)
    /// The file cannot be read, is no lite file, or needs what this runtime was built without.
    case loadFailed(String)
    /// The method does not exist, its inputs do not fit, or an operator failed.
    case runFailed(String)
    /// An output is of a kind that Swift does not have, or has a type without a `DType`.
    case unsupportedOutput(String)
}

extension TorchError: LocalizedError {
    public var errorDescription: String? {
        switch self {
        case .invalidArgument(let text), .loadFailed(let text), .runFailed(let text),
            .unsupportedOutput(let text):
            return text
        }
    }
}

/// A loaded lite-interpreter model (`.ptl`).
///
/// Different modules may be used from different threads at the same time; one module runs one method
/// at a time, which a lock in it sees to. So a module can be shared by tasks and actors.
public final class Module: @unchecked Sendable {
    private let handle: OpaquePointer
    private let lock = NSLock()
    /// Runs `callAsync`: a call takes its thread for as long as the model runs.
    private let queue = DispatchQueue(label: "TorchLite.Module")

    /// Loads the model at `url`, which has to be a file.
    ///
    /// - Parameter extraFiles: names of the extra files in it that `extraFile` shall give.
    /// - Throws: `TorchError.loadFailed`.
    public init(contentsOf url: URL, extraFiles: [String] = []) throws {
        var loaded: OpaquePointer?
        handle = try url.withUnsafeFileSystemRepresentation { path in
            guard let path = path else {
                throw TorchError.loadFailed("\(url) is not the URL of a file")
            }
            return try Module.take(
                &loaded, Module.load(path: path, data: nil, size: 0, extraFiles, &loaded))
        }
    }

    /// Loads a model from memory; the bytes may go afterwards.
    ///
    /// - Parameter extraFiles: names of the extra files in it that `extraFile` shall give.
    /// - Throws: `TorchError.loadFailed`.
    public init(data: Data, extraFiles: [String] = []) throws {
        var loaded: OpaquePointer?
        handle = try data.withUnsafeBytes { bytes in
            try Module.take(
                &loaded,
                Module.load(
                    path: nil, data: bytes.baseAddress, size: bytes.count, extraFiles, &loaded))
        }
    }

    deinit {
        torchlite_module_free(handle)
    }

    /// Runs `forward` and returns its outputs, flattened: tuples, lists and dictionaries in order.
    public func forward(_ inputs: [Tensor]) throws -> [Tensor] {
        try run("forward", inputs)
    }

    /// Runs `forward` with tensors given one by one.
    public func forward(_ inputs: Tensor...) throws -> [Tensor] {
        try run("forward", inputs)
    }

    /// Runs the method called `name`, and returns its outputs, flattened; None and strings are left out.
    ///
    /// - Throws: `TorchError`.
    public func run(_ name: String, _ inputs: [Tensor]) throws -> [Tensor] {
        try withResult(of: name, inputs.map(Value.tensor)) { result in
            try (0..<torchlite_result_count(result)).map { index in
                var output = torchlite_tensor()
                try TorchError.check(torchlite_result_tensor(result, index, &output))
                return try Tensor(copying: output)
            }
        }
    }

    /// Runs the method called `name` with values of any kind, and returns what it returns.
    ///
    /// A model that works in place on an input changes the bytes of this tensor, and of its copies.
    ///
    /// - Throws: `TorchError`.
    public func call(_ name: String = "forward", _ inputs: [Value]) throws -> Value {
        try withResult(of: name, inputs) { result in
            var value = torchlite_value()
            try TorchError.check(torchlite_result_value(result, &value))
            return try Value(copying: value)
        }
    }

    /// The same for callers in a task: a thread of the module waits for the model, and none of the task's. A call that has
    /// begun runs to its end; one that waits for others throws when its task is cancelled.
    ///
    /// - Throws: `TorchError`, or `CancellationError`.
    @available(iOS 13.0, macOS 10.15, tvOS 13.0, watchOS 6.0, *)
    public func callAsync(_ name: String = "forward", _ inputs: [Value]) async throws -> Value {
        let ticket = Ticket()
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                queue.async {
                    continuation.resume(
                        with: Result {
                            if ticket.isCancelled { throw CancellationError() }
                            return try self.call(name, inputs)
                        })
                }
            }
        } onCancel: {
            ticket.cancel()
        }
    }

    /// The content of an extra file that the model was saved with (`builder export --extra-file`); nil where the model has
    /// none of this name, or where it was loaded without naming it.
    public func extraFile(_ name: String) -> Data? {
        var data: UnsafeRawPointer?
        var size = 0
        guard torchlite_module_file(handle, name, &data, &size) == TORCHLITE_OK, size > 0 else {
            return nil
        }
        return data.map { Data(bytes: $0, count: size) }
    }

    /// The methods that can be called, sorted by name.
    ///
    /// - Throws: `TorchError`.
    public func methods() throws -> [Method] {
        lock.lock()
        defer { lock.unlock() }
        var found: UnsafePointer<torchlite_method>?
        var count = 0
        try TorchError.check(torchlite_module_methods(handle, &found, &count))
        return (0..<count).compactMap { index in found.map { Method(copying: $0[index]) } }
    }

    /// Runs `body`, and returns what the operators took that it called on this module, in the order of their first calls.
    ///
    /// - Throws: `TorchError`, or what `body` throws.
    public func profile(_ body: () throws -> Void) throws -> [OperatorTime] {
        lock.lock()
        let status = torchlite_profile_start(handle)
        lock.unlock()
        try TorchError.check(status)
        var failure: Error?
        do { try body() } catch { failure = error }
        lock.lock()
        defer { lock.unlock() }
        var times: UnsafePointer<torchlite_operator_time>?
        var count = 0
        try TorchError.check(torchlite_profile_stop(handle, &times, &count))
        if let failure = failure { throw failure }
        return (0..<count).compactMap { index in times.map { OperatorTime(copying: $0[index]) } }
    }

    private func withResult<Output>(
        of name: String, _ inputs: [Value], _ body: (OpaquePointer?) throws -> Output
    ) throws -> Output {
        lock.lock()
        defer { lock.unlock() }
        var result: OpaquePointer?
        let status = Borrowed.withValues(inputs) { values, count in
            torchlite_run_values(handle, name, values, count, &result)
        }
        try TorchError.check(status)
        defer { torchlite_result_free(result) }
        return try body(result)
    }

    private static func load(
        path: UnsafePointer<CChar>?, data: UnsafeRawPointer?, size: Int, _ names: [String],
        _ loaded: inout OpaquePointer?
    ) -> torchlite_status {
        let copies: [UnsafePointer<CChar>?] = names.map { UnsafePointer(strdup($0)) }
        defer { copies.forEach { free(UnsafeMutableRawPointer(mutating: $0)) } }
        return torchlite_load_with_files(path, data, size, copies, copies.count, &loaded)
    }

    private static func take(_ loaded: inout OpaquePointer?, _ status: torchlite_status) throws
        -> OpaquePointer
    {
        try TorchError.check(status)
        guard let loaded = loaded else { throw TorchError.loadFailed("nothing was loaded") }
        return loaded
    }
}

/// Says whether somebody still waits for a call.
private final class Ticket: @unchecked Sendable {
    private let lock = NSLock()
    private var cancelled = false

    var isCancelled: Bool {
        lock.lock()
        defer { lock.unlock() }
        return cancelled
    }

    func cancel() {
        lock.lock()
        cancelled = true
        lock.unlock()
    }
}

/// A method of a model.
public struct Method: Equatable, Sendable {
    public let name: String
    /// As `forward(Tensor x) -> Tensor`.
    public let text: String
    /// Empty for a method of an old file, which has no types.
    public let inputs: [Input]

    /// An input of a method.
    public struct Input: Equatable, Sendable {
        public let name: String
        /// As TorchScript spells it: `List[Tensor]`.
        public let type: String
        /// Whether None may stand in its place.
        public let isOptional: Bool
        /// Whether it may be left out, with all that follow.
        public let hasDefault: Bool
    }

    init(copying method: torchlite_method) {
        name = String(cString: method.name)
        text = String(cString: method.text)
        inputs = (0..<method.input_count).map { index in
            let input = method.inputs[index]
            return Input(
                name: String(cString: input.name),
                type: String(cString: input.type.text),
                isOptional: input.type.is_optional != 0,
                hasDefault: input.has_default != 0)
        }
    }
}

/// What the calls of one operator took together.
public struct OperatorTime: Equatable, Sendable {
    /// As `aten::add.Tensor`.
    public let name: String
    public let calls: UInt64
    public let nanoseconds: UInt64

    init(copying time: torchlite_operator_time) {
        let overload = String(cString: time.overload)
        name = String(cString: time.name) + (overload.isEmpty ? "" : ".\(overload)")
        calls = time.calls
        nanoseconds = time.nanoseconds
    }
}

/// What holds for the whole runtime.
public enum Runtime {
    /// The version of PyTorch that it is built from.
    public static var version: String { String(cString: torchlite_version()) }

    /// The operators that it serves, sorted, such as `aten::add.Tensor`.
    public static var operators: [String] {
        var count = 0
        guard let names = torchlite_operators(&count) else { return [] }
        return (0..<count).compactMap { names[$0].map { String(cString: $0) } }
    }

    /// Where models can run with this runtime on this device: `cpu`, and `metal` where both have it.
    public static var devices: [String] {
        var count = 0
        guard let names = torchlite_devices(&count) else { return [] }
        return (0..<count).compactMap { names[$0].map { String(cString: $0) } }
    }

    /// How many threads operators may use; 0 leaves that to the runtime. It waits until running calls end.
    public static func setThreads(_ count: Int32) throws {
        try TorchError.check(torchlite_set_threads(count))
    }

    /// How many instructions of its bytecode a model may take in one call, for all modules from now on;
    /// 0 for any number, as at the start. A call that takes more throws, so that a model from elsewhere
    /// cannot run for ever. What one operator does is one instruction.
    public static func setStepLimit(_ steps: UInt64) throws {
        try TorchError.check(torchlite_set_step_limit(steps))
    }

    /// What a text of the log is.
    public enum LogKind: Sendable {
        /// A warning of an operator, or of the model.
        case warning
        /// What `print` in a model writes. On Apple's systems it goes to standard output all the same.
        case print
    }

    /// Gives warnings to `body` from now on, which any thread may call; nil lets them go to standard error, as at the start.
    /// `body` cannot load or call a model, or set the number of threads: these functions throw in it.
    public static func setLog(_ body: (@Sendable (LogKind, String) -> Void)?) throws {
        Log.shared.body = body
        let function: torchlite_log_function? = { _, kind, text in
            guard let text = text else { return }
            let meaning: LogKind = kind == TORCHLITE_LOG_PRINT ? .print : .warning
            Log.shared.body?(meaning, String(cString: text))
        }
        try TorchError.check(torchlite_set_log(body == nil ? nil : function, nil))
    }

    /// Seeds the random numbers that operators draw.
    public static func setSeed(_ seed: UInt64) throws {
        try TorchError.check(torchlite_set_seed(seed))
    }
}

/// Who gets the texts of the log.
private final class Log: @unchecked Sendable {
    static let shared = Log()
    private let lock = NSLock()
    private var current: (@Sendable (Runtime.LogKind, String) -> Void)?

    var body: (@Sendable (Runtime.LogKind, String) -> Void)? {
        get {
            lock.lock()
            defer { lock.unlock() }
            return current
        }
        set {
            lock.lock()
            current = newValue
            lock.unlock()
        }
    }
}

extension TorchError {
    /// Throws what `status` says; the text is the one of the last call on this thread.
    static func check(_ status: torchlite_status) throws {
        guard status != TORCHLITE_OK else { return }
        let text = String(cString: torchlite_error())
        switch status {
        case TORCHLITE_INVALID_ARGUMENT: throw TorchError.invalidArgument(text)
        case TORCHLITE_LOAD_FAILED: throw TorchError.loadFailed(text)
        case TORCHLITE_UNSUPPORTED_OUTPUT: throw TorchError.unsupportedOutput(text)
        default: throw TorchError.runFailed(text)
        }
    }
}
