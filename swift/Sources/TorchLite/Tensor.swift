import Foundation
import LibTorchLite

/// A type that tensors can hold, by what the runtime calls it.
public protocol TensorElement {
    /// The runtime's code of this type.
    static var dtype: DType { get }
}

/// The element types of tensors; raw values are those of PyTorch's `ScalarType`.
public enum DType: UInt32, Sendable {
    case uint8 = 0
    case int8 = 1
    case int16 = 2
    case int32 = 3
    case int64 = 4
    case float16 = 5
    case float32 = 6
    case float64 = 7
    case bool = 11

    /// Bytes of one element.
    public var stride: Int {
        switch self {
        case .uint8, .int8, .bool: return 1
        case .int16, .float16: return 2
        case .int32, .float32: return 4
        case .int64, .float64: return 8
        }
    }
}

extension UInt8: TensorElement { public static var dtype: DType { .uint8 } }
extension Int8: TensorElement { public static var dtype: DType { .int8 } }
extension Int16: TensorElement { public static var dtype: DType { .int16 } }
extension Int32: TensorElement { public static var dtype: DType { .int32 } }
extension Int64: TensorElement { public static var dtype: DType { .int64 } }
extension Float: TensorElement { public static var dtype: DType { .float32 } }
extension Double: TensorElement { public static var dtype: DType { .float64 } }
extension Bool: TensorElement { public static var dtype: DType { .bool } }

#if !((os(macOS) || targetEnvironment(macCatalyst)) && arch(x86_64))
@available(iOS 14.0, *)
extension Float16: TensorElement { public static var dtype: DType { .float16 } }
#endif

/// A dense tensor in row-major order that owns its bytes.
///
/// Copies of a tensor share their bytes, as those of `Data` do. A call of a model reads them where they are, and copies
/// each output once.
public struct Tensor: Equatable, Sendable {
    public let dtype: DType
    /// Sizes of its dimensions; empty for a single number.
    public let shape: [Int]
    /// The elements, `elementCount * dtype.stride` bytes.
    public let bytes: Data

    /// The product of `shape`.
    public var elementCount: Int { shape.reduce(1, *) }

    /// Makes a tensor of bytes that are laid out already.
    ///
    /// - Throws: `TorchError.invalidArgument` where the number of bytes does not fit the shape.
    public init(dtype: DType, shape: [Int], bytes: Data) throws {
        guard let count = Tensor.count(of: shape), count * dtype.stride == bytes.count else {
            throw TorchError.invalidArgument("\(bytes.count) bytes do not make \(dtype) \(shape)")
        }
        self.dtype = dtype
        self.shape = shape
        self.bytes = bytes
    }

    /// Copies `elements` into a tensor; without `shape`, it has one dimension.
    ///
    /// - Throws: `TorchError.invalidArgument` where the number of elements does not fit the shape.
    public init<Element: TensorElement>(_ elements: [Element], shape: [Int]? = nil) throws {
        try self.init(
            dtype: Element.dtype,
            shape: shape ?? [elements.count],
            bytes: elements.withUnsafeBytes { Data($0) })
    }

    /// Makes a tensor without dimensions, which is what a method's number parameters take.
    public init<Element: TensorElement>(scalar: Element) throws {
        try self.init([scalar], shape: [])
    }

    /// Calls `body` with the elements, which are valid during the call only. They are copied first only where the bytes
    /// are not aligned as the type wants it, as in a part of a larger `Data`.
    ///
    /// - Throws: `TorchError.invalidArgument` where the tensor holds another type.
    public func withUnsafeElements<Element: TensorElement, Result>(
        of type: Element.Type = Element.self,
        _ body: (UnsafeBufferPointer<Element>) throws -> Result
    ) throws -> Result {
        guard Element.dtype == dtype else {
            throw TorchError.invalidArgument("the tensor holds \(dtype), not \(Element.dtype)")
        }
        return try bytes.withUnsafeBytes { raw in
            let address = UInt(bitPattern: raw.baseAddress)
            if address % UInt(MemoryLayout<Element>.alignment) == 0 {
                return try body(raw.bindMemory(to: Element.self))
            }
            let elements = [Element](unsafeUninitializedCapacity: elementCount) { buffer, count in
                count = bytes.copyBytes(to: buffer) / MemoryLayout<Element>.stride
            }
            return try elements.withUnsafeBufferPointer(body)
        }
    }

    /// The elements, copied.
    ///
    /// - Throws: `TorchError.invalidArgument` where the tensor holds another type.
    public func elements<Element: TensorElement>(
        of type: Element.Type = Element.self
    ) throws -> [Element] {
        try withUnsafeElements(of: type) { Array($0) }
    }

    /// Copies what the runtime holds.
    init(copying output: torchlite_tensor) throws {
        guard let dtype = DType(rawValue: UInt32(output.dtype.rawValue)) else {
            throw TorchError.unsupportedOutput("an output has the type \(output.dtype.rawValue)")
        }
        let shape = (0..<Int(output.dims)).map { Int(output.sizes[$0]) }
        let count = shape.reduce(1, *) * dtype.stride
        let bytes = output.data.map { Data(bytes: $0, count: count) } ?? Data()
        try self.init(dtype: dtype, shape: shape, bytes: bytes)
    }

    private static func count(of shape: [Int]) -> Int? {
        var count = 1
        for size in shape {
            let (product, overflow) = count.multipliedReportingOverflow(by: size)
            guard size >= 0, !overflow else { return nil }
            count = product
        }
        return count
    }
}
