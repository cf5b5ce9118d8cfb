import Foundation
import LibTorchLite

/// What a method takes or returns.
///
/// Literals make values: `["image": .tensor(image), "threshold": 0.5]` is a dict, `[1, 2]` a list, and `nil`
/// is None.
public enum Value: Equatable, Sendable {
    /// None.
    case null
    case tensor(Tensor)
    /// An image or volume whose bytes have all channels of a pixel side by side; its shape is in PyTorch's order
    /// nevertheless (1, 3, 224, 224). For inputs only.
    case channelsLast(Tensor)
    case bool(Bool)
    case int(Int64)
    case float(Double)
    case string(String)
    case list([Value])
    case tuple([Value])
    /// The items in their order.
    case dict([Item])

    /// An item of a dict.
    public struct Item: Equatable, Sendable {
        public let key: String
        public let value: Value

        public init(key: String, value: Value) {
            self.key = key
            self.value = value
        }
    }

    /// The tensor, or None where there is none.
    public init(_ tensor: Tensor?) {
        self = tensor.map(Value.tensor) ?? .null
    }

    /// The text, or None where there is none.
    public init(_ text: String?) {
        self = text.map(Value.string) ?? .null
    }

    /// Whether it is None.
    public var isNull: Bool { self == .null }

    /// The tensor that it is; nil for all others.
    public var tensor: Tensor? {
        switch self {
        case .tensor(let tensor), .channelsLast(let tensor): return tensor
        default: return nil
        }
    }

    /// The bool that it is; nil for all others.
    public var bool: Bool? {
        if case .bool(let value) = self { return value }
        return nil
    }

    /// The int that it is; nil for all others.
    public var int: Int64? {
        if case .int(let value) = self { return value }
        return nil
    }

    /// The float that it is; nil for all others.
    public var float: Double? {
        if case .float(let value) = self { return value }
        return nil
    }

    /// The string that it is; nil for all others.
    public var string: String? {
        if case .string(let value) = self { return value }
        return nil
    }

    /// The items of a list or a tuple, or the values of a dict, in their order; empty for all others.
    public var items: [Value] {
        switch self {
        case .list(let items), .tuple(let items): return items
        case .dict(let items): return items.map(\.value)
        default: return []
        }
    }

    /// The item of a list or a tuple, or the value of a dict, at this place; nil where there is none.
    public subscript(index: Int) -> Value? {
        items.indices.contains(index) ? items[index] : nil
    }

    /// The value of a dict for this key; nil where there is none.
    public subscript(key: String) -> Value? {
        guard case .dict(let items) = self else { return nil }
        return items.first { $0.key == key }?.value
    }
}

extension Value: ExpressibleByNilLiteral {
    public init(nilLiteral: ()) { self = .null }
}

extension Value: ExpressibleByBooleanLiteral {
    public init(booleanLiteral value: Bool) { self = .bool(value) }
}

extension Value: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int64) { self = .int(value) }
}

extension Value: ExpressibleByFloatLiteral {
    public init(floatLiteral value: Double) { self = .float(value) }
}

extension Value: ExpressibleByStringLiteral {
    public init(stringLiteral value: String) { self = .string(value) }
}

extension Value: ExpressibleByArrayLiteral {
    public init(arrayLiteral items: Value...) { self = .list(items) }
}

extension Value: ExpressibleByDictionaryLiteral {
    public init(dictionaryLiteral items: (String, Value)...) {
        self = .dict(items.map { Item(key: $0.0, value: $0.1) })
    }
}

extension Value {
    /// Copies what `value` holds.
    init(copying value: torchlite_value) throws {
        switch value.kind {
        case TORCHLITE_VALUE_NONE: self = .null
        case TORCHLITE_VALUE_TENSOR: self = .tensor(try Tensor(copying: value.as.tensor))
        case TORCHLITE_VALUE_BOOL: self = .bool(value.as.integer != 0)
        case TORCHLITE_VALUE_INT: self = .int(value.as.integer)
        case TORCHLITE_VALUE_FLOAT: self = .float(value.as.real)
        case TORCHLITE_VALUE_STRING: self = .string(String(cString: value.as.text))
        case TORCHLITE_VALUE_LIST: self = .list(try Value.copyItems(of: value))
        case TORCHLITE_VALUE_TUPLE: self = .tuple(try Value.copyItems(of: value))
        case TORCHLITE_VALUE_DICT:
            let values = try Value.copyItems(of: value)
            guard let keys = value.as.group.keys else {
                if values.isEmpty {
                    self = .dict([])
                    return
                }
                throw TorchError.unsupportedOutput("an output is a dict whose keys are no strings")
            }
            self = .dict(
                values.enumerated().map { index, value in
                    Item(key: keys[index].map { String(cString: $0) } ?? "", value: value)
                })
        default:
            throw TorchError.unsupportedOutput("an output has the kind \(value.kind.rawValue)")
        }
    }

    private static func copyItems(of value: torchlite_value) throws -> [Value] {
        let group = value.as.group
        return try (0..<group.count).map { try Value(copying: group.items[$0]) }
    }
}

/// Values as the C API wants them, valid during one call.
enum Borrowed {
    static func withValues<Result>(
        _ values: [Value], _ body: (UnsafePointer<torchlite_value>?, Int) -> Result
    ) -> Result {
        var tensors: [Tensor] = []
        values.forEach { collect($0, into: &tensors) }
        return withBytes(of: tensors[...], []) { pointers in
            let memory = Memory(pointers: pointers)
            return withExtendedLifetime(memory) { body(memory.store(values), values.count) }
        }
    }

    private static func collect(_ value: Value, into tensors: inout [Tensor]) {
        if let tensor = value.tensor {
            tensors.append(tensor)
        } else {
            value.items.forEach { collect($0, into: &tensors) }
        }
    }

    /// Calls `body` with the addresses of the bytes of all tensors, in their order.
    private static func withBytes<Result>(
        of left: ArraySlice<Tensor>,
        _ done: [UnsafeRawPointer?],
        _ body: ([UnsafeRawPointer?]) -> Result
    ) -> Result {
        guard let tensor = left.first else { return body(done) }
        return tensor.bytes.withUnsafeBytes { bytes in
            withBytes(of: left.dropFirst(), done + [bytes.baseAddress], body)
        }
    }
}

/// Owns what values point to, but for the bytes of tensors.
private final class Memory {
    private var pointers: ArraySlice<UnsafeRawPointer?>
    private var owned: [UnsafeMutableRawPointer] = []

    init(pointers: [UnsafeRawPointer?]) {
        self.pointers = pointers[...]
    }

    deinit {
        owned.forEach { free($0) }
    }

    func store(_ values: [Value]) -> UnsafePointer<torchlite_value>? {
        let stored = allocate(values.count, of: torchlite_value.self)
        for (index, value) in values.enumerated() {
            (stored! + index).initialize(to: convert(value))
        }
        return stored.map { UnsafePointer($0) }
    }

    private func convert(_ value: Value) -> torchlite_value {
        var made = torchlite_value()
        switch value {
        case .null:
            made.kind = TORCHLITE_VALUE_NONE
        case .tensor(let tensor):
            made.kind = TORCHLITE_VALUE_TENSOR
            made.as.tensor = convert(tensor)
        case .channelsLast(let tensor):
            made.kind = TORCHLITE_VALUE_CHANNELS_LAST
            made.as.tensor = convert(tensor)
        case .bool(let value):
            made.kind = TORCHLITE_VALUE_BOOL
            made.as.integer = value ? 1 : 0
        case .int(let value):
            made.kind = TORCHLITE_VALUE_INT
            made.as.integer = value
        case .float(let value):
            made.kind = TORCHLITE_VALUE_FLOAT
            made.as.real = value
        case .string(let text):
            made.kind = TORCHLITE_VALUE_STRING
            made.as.text = store(text)
        case .list(let items):
            made.kind = TORCHLITE_VALUE_LIST
            made.as.group.count = items.count
            made.as.group.items = store(items)
        case .tuple(let items):
            made.kind = TORCHLITE_VALUE_TUPLE
            made.as.group.count = items.count
            made.as.group.items = store(items)
        case .dict(let items):
            made.kind = TORCHLITE_VALUE_DICT
            made.as.group.count = items.count
            made.as.group.items = store(items.map(\.value))
            made.as.group.keys = store(items.map(\.key))
        }
        return made
    }

    private func convert(_ tensor: Tensor) -> torchlite_tensor {
        let sizes = allocate(tensor.shape.count, of: Int64.self)
        for (index, size) in tensor.shape.enumerated() {
            (sizes! + index).initialize(to: Int64(size))
        }
        return torchlite_tensor(
            dtype: torchlite_dtype(rawValue: tensor.dtype.rawValue),
            dims: Int32(tensor.shape.count),
            sizes: sizes,
            // In the order in which `collect` met them.
            data: pointers.removeFirst())
    }

    private func store(_ text: String) -> UnsafePointer<CChar> {
        let bytes = text.utf8CString
        let stored = allocate(bytes.count, of: CChar.self)!
        for (index, byte) in bytes.enumerated() {
            (stored + index).initialize(to: byte)
        }
        return UnsafePointer(stored)
    }

    private func store(_ keys: [String]) -> UnsafePointer<UnsafePointer<CChar>?>? {
        let stored = allocate(keys.count, of: UnsafePointer<CChar>?.self)
        for (index, key) in keys.enumerated() {
            (stored! + index).initialize(to: store(key))
        }
        return stored.map { UnsafePointer($0) }
    }

    /// Returns memory for `count` of a type without references; nil for none.
    private func allocate<Item>(_ count: Int, of type: Item.Type) -> UnsafeMutablePointer<Item>? {
        guard count > 0, let made = calloc(count, MemoryLayout<Item>.stride) else { return nil }
        owned.append(made)
        return made.bindMemory(to: type, capacity: count)
    }
}
