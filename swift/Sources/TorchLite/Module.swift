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
    /// An output is neither a tensor nor a number, or has a type without a `DType`.
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
/// at a time, which a lock in it sees to.
public final class Module: @unchecked Sendable {
    private let handle: OpaquePointer
    private let lock = NSLock()

    /// Loads the model at `url`, which has to be a file.
    ///
    /// - Throws: `TorchError.loadFailed`.
    public init(contentsOf url: URL) throws {
        var loaded: OpaquePointer?
        let status = url.withUnsafeFileSystemRepresentation { path in
            torchlite_load(path, &loaded)
        }
        handle = try Module.take(loaded, status)
    }

    /// Loads a model from memory; the bytes may go afterwards.
    ///
    /// - Throws: `TorchError.loadFailed`.
    public init(data: Data) throws {
        var loaded: OpaquePointer?
        let status = data.withUnsafeBytes { bytes in
            torchlite_load_buffer(bytes.baseAddress, bytes.count, &loaded)
        }
        handle = try Module.take(loaded, status)
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

    /// Runs the method called `name`.
    ///
    /// - Throws: `TorchError`.
    public func run(_ name: String, _ inputs: [Tensor]) throws -> [Tensor] {
        lock.lock()
        defer { lock.unlock() }
        var result: OpaquePointer?
        let status = Borrowed.withTensors(inputs) { tensors in
            torchlite_run_method(handle, name, tensors.baseAddress, tensors.count, &result)
        }
        try TorchError.check(status)
        defer { torchlite_result_free(result) }
        return try (0..<torchlite_result_count(result)).map { index in
            try Module.copyOutput(result, at: index)
        }
    }

    private static func take(_ loaded: OpaquePointer?, _ status: torchlite_status) throws
        -> OpaquePointer
    {
        try TorchError.check(status)
        guard let loaded = loaded else { throw TorchError.loadFailed("nothing was loaded") }
        return loaded
    }

    private static func copyOutput(_ result: OpaquePointer?, at index: Int) throws -> Tensor {
        var output = torchlite_tensor()
        try TorchError.check(torchlite_result_tensor(result, index, &output))
        guard let dtype = DType(rawValue: UInt32(output.dtype.rawValue)) else {
            throw TorchError.unsupportedOutput("an output has the type \(output.dtype.rawValue)")
        }
        let shape = (0..<Int(output.dims)).map { Int(output.sizes[$0]) }
        let count = shape.reduce(1, *) * dtype.stride
        let bytes = output.data.map { Data(bytes: $0, count: count) } ?? Data()
        return try Tensor(dtype: dtype, shape: shape, bytes: bytes)
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

    /// How many threads operators may use; 0 leaves that to the runtime. To be set before anything runs.
    public static func setThreads(_ count: Int32) throws {
        try TorchError.check(torchlite_set_threads(count))
    }

    /// How many instructions of its bytecode a model may take in one call, for all modules from now on;
    /// 0 for any number, as at the start. A call that takes more throws, so that a model from elsewhere
    /// cannot run for ever. What one operator does is one instruction.
    public static func setStepLimit(_ steps: UInt64) throws {
        try TorchError.check(torchlite_set_step_limit(steps))
    }

    /// Seeds the random numbers that operators draw.
    public static func setSeed(_ seed: UInt64) throws {
        try TorchError.check(torchlite_set_seed(seed))
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

/// Tensors as the C API wants them, valid during one call.
private enum Borrowed {
    static func withTensors<Result>(
        _ tensors: [Tensor], _ body: (UnsafeBufferPointer<torchlite_tensor>) -> Result
    ) -> Result {
        withTensors(tensors[...], [], body)
    }

    private static func withTensors<Result>(
        _ left: ArraySlice<Tensor>,
        _ done: [torchlite_tensor],
        _ body: (UnsafeBufferPointer<torchlite_tensor>) -> Result
    ) -> Result {
        guard let tensor = left.first else { return done.withUnsafeBufferPointer(body) }
        let sizes = tensor.shape.map(Int64.init)
        return sizes.withUnsafeBufferPointer { sizes in
            tensor.bytes.withUnsafeBytes { bytes in
                let borrowed = torchlite_tensor(
                    dtype: torchlite_dtype(rawValue: tensor.dtype.rawValue),
                    dims: Int32(sizes.count),
                    sizes: sizes.baseAddress,
                    data: bytes.baseAddress)
                return withTensors(left.dropFirst(), done + [borrowed], body)
            }
        }
    }
}
