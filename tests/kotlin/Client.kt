// An app's Kotlin on a desktop JVM: a line `pass` or `FAIL` for each check. The argument: values.ptl of java_models.py.

import java.io.ByteArrayInputStream
import java.io.File
import java.io.FileInputStream
import java.io.InputStream
import java.nio.ByteBuffer
import java.nio.ByteOrder
import java.nio.FloatBuffer
import java.util.concurrent.CancellationException
import kotlin.concurrent.thread
import kotlinx.coroutines.Dispatchers
import kotlinx.coroutines.async
import kotlinx.coroutines.awaitAll
import kotlinx.coroutines.coroutineScope
import kotlinx.coroutines.delay
import kotlinx.coroutines.launch
import kotlinx.coroutines.runBlocking
import kotlinx.coroutines.sync.Mutex
import kotlinx.coroutines.sync.withLock
import org.pytorch.DType
import org.pytorch.Device
import org.pytorch.IValue
import org.pytorch.LiteModuleLoader
import org.pytorch.MemoryFormat
import org.pytorch.Module
import org.pytorch.NativeLibrary
import org.pytorch.PyTorchAndroid
import org.pytorch.Tensor
import org.pytorch.torchvision.TensorImageUtils

// As docs/how-to/java.md shows it.
class InTurn(private val module: Module) {
    private val turn = Mutex()  // kotlinx.coroutines.sync

    suspend fun run(method: String, input: IValue): IValue = turn.withLock {
        coroutineScope {
            val call = async(Dispatchers.Default) { module.runMethod(method, input) }
            try { call.await() } catch (ended: CancellationException) { module.cancel(); throw ended }
        }
    }
}

var failed = 0

fun check(name: String, fact: () -> Boolean) {
    val said = try { if (fact()) "pass" else "FAIL" } catch (e: Throwable) { failed++; "FAIL $e" }
    if (said == "FAIL") failed++
    println("$said $name")
}

inline fun <reified E : Throwable> refuses(name: String, words: String, crossinline body: () -> Unit) = check(name) {
    try { body(); false } catch (e: Throwable) { if (e !is E || words !in (e.message ?: "")) throw e; true }
}

fun floats(vararg values: Float) = Tensor.fromBlob(values, longArrayOf(values.size.toLong()))

fun main(arguments: Array<String>) {
    val path = arguments[0]
    val bytes = File(path).readBytes()
    val module: Module = Module.load(path)

    // Loading
    check("lite loader") { LiteModuleLoader.load(path).use { it.runMethod("text", IValue.from("a")).toStr() == "a" } }
    check("bytes") { Module.load(bytes).use { it.runMethod("count", IValue.from(4L)).toLong() == 6L } }
    check("direct buffer") { Module.load(ByteBuffer.allocateDirect(bytes.size).put(bytes).flip() as ByteBuffer).use { true } }
    check("heap buffer") { Module.load(ByteBuffer.wrap(bytes)).use { true } }
    check("stream") { FileInputStream(path).use { s -> Module.load(s).use { true } } }
    check("descriptor") { FileInputStream(path).use { s -> Module.load(s.fd).use { true } } }
    check("part of a descriptor") { FileInputStream(path).use { s -> Module.load(s.fd, 0L, bytes.size.toLong()).use { true } } }
    check("extra file") { val e = hashMapOf<String, String>("labels.txt" to ""); Module.load(path, e, Device.CPU).use { e["labels.txt"]!!.startsWith("Käse") } }
    check("extra file as bytes") { Module.load(path, hashMapOf("packed.bin" to ""), Device.CPU).use { it.extraFile("packed.bin")!!.contentEquals(byteArrayOf(0, -1, -61, 1)) } }
    refuses<IllegalArgumentException>("null path", "") { Module.load(path + "\u0000x") }
    refuses<RuntimeException>("missing file", "/nowhere") { Module.load("/nowhere") }
    refuses<RuntimeException>("garbage", "neither kind of file") { Module.load(ByteArray(100)) }
    refuses<RuntimeException>("empty", "") { Module.load(ByteArray(0)) }
    refuses<RuntimeException>("truncated", "") { Module.load(bytes.copyOf(bytes.size / 2)) }
    refuses<RuntimeException>("flipped byte", "") { Module.load(bytes.clone().also { for (i in bytes.size / 4 until bytes.size / 2) it[i] = (it[i] + 1).toByte() }) }
    refuses<RuntimeException>("failing stream", "") { Module.load(object : InputStream() { override fun read(): Int = throw java.io.IOException("gone") }) }
    refuses<RuntimeException>("short stream", "") { Module.load(ByteArrayInputStream(bytes, 0, 10)) }

    // Values
    val x = floats(0f, 1f, 2f)
    check("forward") { module.forward(IValue.from(Tensor.fromBlob(FloatArray(6) { 1f }, longArrayOf(2, 3)))).toTensor().dataAsFloatArray.toList() == listOf(2f, 3f, 4f, 5f, 6f, 7f) }
    check("bool results") { module.runMethod("comparison", IValue.from(x)).toTensor().let { it.dtype() == DType.BOOL && it.dataAsBooleanArray.toList() == listOf(false, true, true) } }
    check("emoji") { module.runMethod("text", IValue.from("Käse🧀\u0000b")).toStr() == "Käse🧀\u0000b" }
    check("texts") { module.runMethod("texts", IValue.listFrom(IValue.from("a"), IValue.from("b"))).toList().map { it.toStr() } == listOf("a", "b") }
    check("numbers") { module.runMethod("numbers", IValue.listFrom(1.5, 2.5), IValue.listFrom(true, false)).toTuple().let { it[0].toDoubleList().toList() == listOf(1.5, 2.5) && it[1].toBoolList().toList() == listOf(true, false) } }
    check("tensors") { module.runMethod("tensors", IValue.listFrom(x, floats(1f))).toTensorList().size == 2 }
    check("optional tensors") { module.runMethod("given", IValue.listFrom(IValue.optionalNull(), IValue.from(x))).toBoolList().toList() == listOf(false, true) }
    check("no tensors") { module.runMethod("tensors", IValue.listFrom(*arrayOf<Tensor>())).toTensorList().isEmpty() }
    check("dict of numbers") { module.runMethod("by_number", IValue.dictLongKeyFrom(mapOf(3L to IValue.from("c")))).toDictLongKey()[3L]!!.toStr() == "c" }
    check("nested dict") { module.runMethod("nested", IValue.dictStringKeyFrom(mapOf("k" to IValue.listFrom(IValue.tupleFrom(IValue.from(1L), IValue.from(x)))))).toDictStringKey()["k"]!!.toList()[0].toTuple()[1].toTensor().numel() == 3L }
    check("int") { module.runMethod("count", IValue.from(10L)).toLong() == 45L }
    check("half") { Tensor.fromBlobHalf(shortArrayOf(0x3C00), longArrayOf(1)).dtype() == DType.FLOAT16 }
    check("unsigned") { Tensor.fromBlobUnsigned(byteArrayOf(-1), longArrayOf(1)).dataAsUnsignedByteArray[0] == (-1).toByte() }
    check("empty tensor") { module.runMethod("same", IValue.from(Tensor.fromBlob(FloatArray(0), longArrayOf(0, 3)))).toTensor().shape().toList() == listOf(0L, 3L) }
    check("float buffers") { val b = Tensor.allocateFloatBuffer(2).put(0, 7f); module.runMethod("same", IValue.from(Tensor.fromBlob(b, longArrayOf(2)))).toTensor().dataAsFloatArray[0] == 7f }
    check("read-only buffers stay") { val b = Tensor.allocateFloatBuffer(1); module.runMethod("written", IValue.from(Tensor.fromBlob(b.asReadOnlyBuffer(), longArrayOf(1)))); b.get(0) == 0f }
    check("copyTo heap") { val out = FloatBuffer.allocate(3); x.copyTo(out); out.get(2) == 2f }
    check("copyTo direct") { val out = ByteBuffer.allocateDirect(12).order(ByteOrder.nativeOrder()).asFloatBuffer(); x.copyTo(out); out.get(1) == 1f }
    check("toString") { IValue.tupleFrom(IValue.from(7L), IValue.from(x)).toString() == "Tuple(Long(7), Tensor([3], dtype=torch.float32))" }
    check("signatures") { module.signatures()["forward"]!!.contains("Tensor") && "count" in module.signatures() }

    // What does not fit
    refuses<RuntimeException>("few inputs", "takes") { module.forward() }
    refuses<RuntimeException>("many inputs", "takes") { module.forward(IValue.from(x), IValue.from(x)) }
    refuses<RuntimeException>("another kind", "takes") { module.forward(IValue.from("a")) }
    refuses<RuntimeException>("no method", "no method nothing") { module.runMethod("nothing") }
    refuses<RuntimeException>("an exception of the model", "the model says: no") { module.runMethod("fail", IValue.from("no")) }
    refuses<RuntimeException>("a dict that Java lacks", "") { module.runMethod("by_real") }
    refuses<IllegalStateException>("a value of another kind", "") { IValue.from(1L).toTensor() }
    refuses<IllegalArgumentException>("a shape of another size", "") { Tensor.fromBlob(FloatArray(3), longArrayOf(4)) }
    refuses<IllegalStateException>("elements of another type", "") { x.dataAsLongArray }
    refuses<IllegalArgumentException>("no threads", "") { PyTorchAndroid.setNumThreads(0) }
    refuses<IllegalArgumentException>("deep values", "more than 64 deep") { var v = IValue.from(x); repeat(100) { v = IValue.tupleFrom(v) }; module.runMethod("same", v) }

    // Lifetimes
    check("use") { Module.load(path).use { it.runMethod("same", IValue.from(x)).use { r -> r.toTensor().numel() == 3L } } }
    refuses<IllegalStateException>("destroyed", "") { Module.load(path).also { it.destroy() }.forward(IValue.from(x)) }
    refuses<IllegalStateException>("closed", "") { Module.load(path).also { it.close(); it.close() }.forward(IValue.from(x)) }
    check("a result outlives its module") { val t = Module.load(path).use { it.runMethod("weights") }.toTensor(); System.gc(); t.dataAsFloatArray[5] == 5f }
    refuses<IllegalStateException>("a closed tensor", "") { module.runMethod("zeros", IValue.from(8L)).toTensor().also { it.close() }.dataAsFloatArray }
    check("300 results of 4 MB") { repeat(300) { module.runMethod("zeros", IValue.from(1L shl 20)).toTensor().use { t -> t.numel() } }; true }
    check("150 results that nobody closes") { repeat(150) { module.runMethod("zeros", IValue.from(1L shl 20)) }; true }

    // Threads
    check("set threads") { PyTorchAndroid.setNumThreads(2); PyTorchAndroid.setNumThreads(1); true }
    check("spinning") { PyTorchAndroid.setSpinning(false); true }
    check("two modules, two threads") { val good = java.util.concurrent.atomic.AtomicInteger(); (1..2).map { thread { Module.load(path).use { m -> repeat(50) { if (m.runMethod("count", IValue.from(100L)).toLong() == 4950L) good.incrementAndGet() } } } }.forEach { it.join() }; good.get() == 100 }
    check("8 coroutines share a module") { runBlocking { (1..8).map { n -> async(Dispatchers.Default) { module.runMethod("count", IValue.from(n.toLong() * 100)).toLong() } }.awaitAll() } == (1..8).map { n -> (n * 100L) * (n * 100L - 1) / 2 } }
    refuses<RuntimeException>("step limit", "instructions") { PyTorchAndroid.setStepLimit(1000); try { module.runMethod("count", IValue.from(1_000_000L)) } finally { PyTorchAndroid.setStepLimit(0) } }
    check("cancel") { var ended = false; val t = thread { try { module.runMethod("count", IValue.from(1L shl 40)) } catch (e: CancellationException) { ended = true } }; while (t.isAlive) { module.cancel(); Thread.sleep(20) }; ended && module.runMethod("count", IValue.from(4L)).toLong() == 6L }
    check("a coroutine that is cancelled") {
        runBlocking {
            val turns = InTurn(module)
            val job = launch { turns.run("count", IValue.from(1L shl 40)) }
            delay(300); job.cancel(); job.join()
            job.isCancelled && turns.run("count", IValue.from(4L)).toLong() == 6L
        }
    }
    check("one that waits does not end another") {
        runBlocking {
            val turns = InTurn(module)
            val first = async { turns.run("count", IValue.from(3_000_000L)).toLong() }
            delay(100)
            val second = launch { turns.run("count", IValue.from(1L shl 40)) }
            delay(100); second.cancel(); second.join()
            first.await() == 3_000_000L * 2_999_999L / 2
        }
    }

    // The rest
    check("operators") { "aten::mul.Scalar" in NativeLibrary.operators() }
    check("devices") { Device.CPU in NativeLibrary.devices() }
    check("version") { NativeLibrary.pytorchVersion() == "2.6.0" }
    check("frames") { val p = ByteBuffer.allocateDirect(16); TensorImageUtils.rgbaScaledToFloat32Tensor(p, 2, 2, 8, 0, 1, 1, floatArrayOf(0f, 0f, 0f), floatArrayOf(1f, 1f, 1f), MemoryFormat.CONTIGUOUS).shape().toList() == listOf(1L, 3L, 1L, 1L) }
    module.close()
    System.exit(if (failed == 0) 0 else 1)
}
