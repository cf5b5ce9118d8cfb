import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.nio.FloatBuffer;
import java.nio.ShortBuffer;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.pytorch.DType;
import org.pytorch.Device;
import org.pytorch.IValue;
import org.pytorch.LiteModuleLoader;
import org.pytorch.MemoryFormat;
import org.pytorch.Module;
import org.pytorch.NativeLibrary;
import org.pytorch.PyTorchAndroid;
import org.pytorch.Tensor;

/** Values to a model and back; what cannot be carried is refused with a reason. */
public class ValuesTest {
  private static final String WEDGE = new String(Character.toChars(0x1F9C0));
  private final Module module = load();

  static Module load() {
    return LiteModuleLoader.load(System.getProperty("models") + "/values.ptl");
  }

  static Tensor tensor(float... elements) {
    return Tensor.fromBlob(elements, new long[] {elements.length});
  }

  private static float[] floats(IValue value) {
    return value.toTensor().getDataAsFloatArray();
  }

  @Test
  public void textsKeepEveryCharacter() {
    for (String text : new String[] {"", "Käse", WEDGE, "a\u0000b", "漢字"}) {
      assertEquals(text, module.runMethod("text", IValue.from(text)).toStr());
    }
  }

  @Test
  public void listsOfTexts() {
    IValue[] texts = {IValue.from("a"), IValue.from(WEDGE)};
    IValue[] back = module.runMethod("texts", IValue.listFrom(texts)).toList();
    assertEquals(2, back.length);
    assertEquals(WEDGE, back[1].toStr());
  }

  @Test
  public void listsOfNumbersAndBooleans() {
    double[] numbers = {0.5, -1e300, Double.POSITIVE_INFINITY};
    boolean[] booleans = {true, false, true};
    IValue[] back =
        module.runMethod("numbers", IValue.listFrom(numbers), IValue.listFrom(booleans)).toTuple();
    assertArrayEquals(numbers, back[0].toDoubleList(), 0);
    assertArrayEquals(booleans, back[1].toBoolList());
  }

  @Test
  public void listsOfTensors() {
    Tensor[] back =
        module.runMethod("tensors", IValue.listFrom(tensor(1, 2), tensor(3))).toTensorList();
    assertArrayEquals(new float[] {1, 2}, back[0].getDataAsFloatArray(), 0);
    assertArrayEquals(new float[] {3}, back[1].getDataAsFloatArray(), 0);
    assertEquals(0, module.runMethod("tensors", IValue.listFrom(new Tensor[0])).toTensorList().length);
  }

  @Test
  public void listsOfTensorsThatMayBeMissing() {
    IValue one = IValue.from(tensor(1));
    IValue none = IValue.optionalNull();
    boolean[] first = {false, true};
    assertArrayEquals(first, module.runMethod("given", IValue.listFrom(none, one)).toBoolList());
    assertArrayEquals(
        new boolean[] {false}, module.runMethod("given", IValue.listFrom(none)).toBoolList());
    assertArrayEquals(
        new boolean[] {true}, module.runMethod("given", IValue.listFrom(tensor(1))).toBoolList());
  }

  @Test
  public void emptyCollectionsAreOfTheKindThatTheMethodTakes() {
    IValue empty = IValue.listFrom(new IValue[0]);
    assertEquals(0, module.runMethod("texts", empty).toList().length);
    assertEquals(0, module.runMethod("tensors", empty).toTensorList().length);
    Map<String, IValue> map = new HashMap<>();
    assertEquals(
        0, module.runMethod("nested", IValue.dictStringKeyFrom(map)).toDictStringKey().size());
    map.put("one", empty);
    IValue back = module.runMethod("nested", IValue.dictStringKeyFrom(map));
    assertEquals(0, back.toDictStringKey().get("one").toList().length);
    assertRefused("takes List[str]", () -> module.runMethod("texts", IValue.listFrom(1L, 2L)));
  }

  @Test
  public void valuesAreRefusedThatAreNestedTooDeep() {
    IValue[] itself = {null};
    itself[0] = IValue.tupleFrom(itself);
    assertRefused("more than 64 deep", () -> module.runMethod("same", itself[0]));
    IValue deep = IValue.from(tensor(1));
    for (int i = 0; i < 100_000; i++) {
      deep = i % 2 == 0 ? IValue.tupleFrom(deep) : IValue.listFrom(deep);
    }
    IValue whole = deep;
    assertRefused("more than 64 deep", () -> module.runMethod("same", whole));
    whole.close();
    itself[0].close();
  }

  @Test
  public void halvesOfCharactersMakeNoTwoKeysOne() {
    Map<String, IValue> map = new HashMap<>();
    IValue empty = IValue.listFrom(new IValue[0]);
    map.put("a\uD800", empty);
    module.runMethod("nested", IValue.dictStringKeyFrom(map));
    map.put("a\uD801", empty);
    assertRefused(
        "one text in UTF-8", () -> module.runMethod("nested", IValue.dictStringKeyFrom(map)));
  }

  @Test
  public void tensorsHaveAtMost64Dimensions() {
    long[] shape = new long[64];
    Arrays.fill(shape, 1);
    module.runMethod("same", IValue.from(Tensor.fromBlob(new float[] {1}, shape)));
    long[] more = Arrays.copyOf(shape, 20_000);
    Arrays.fill(more, 1);
    IValue deep = IValue.from(Tensor.fromBlob(new float[] {1}, more));
    assertRefused("more than 64 dimensions", () -> module.runMethod("same", deep));
    assertTrue(deep.toString().length() < 10_000);
  }

  @Test
  public void readOnlyBuffersStayAsTheyAre() {
    FloatBuffer buffer = Tensor.allocateFloatBuffer(2);
    long[] two = {2};
    float[] more = {1, 1};
    Tensor shared = Tensor.fromBlob(buffer.asReadOnlyBuffer(), two);
    assertArrayEquals(more, floats(module.runMethod("written", IValue.from(shared))), 0);
    assertEquals(0, buffer.get(0), 0);
    buffer.put(1, 5); // which later calls see
    assertArrayEquals(
        new float[] {1, 6}, floats(module.runMethod("written", IValue.from(shared))), 0);
    assertArrayEquals(new float[] {0, 5}, shared.getDataAsFloatArray(), 0);
    module.runMethod("written", IValue.from(Tensor.fromBlob(buffer, two)));
    assertEquals(6, buffer.get(1), 0);
  }

  @Test
  public void pathsEndWhereJavaSaysThatTheyDo() {
    String model = System.getProperty("models") + "/values.ptl";
    assertRefused("NUL", () -> LiteModuleLoader.load(model + "\u0000.checked"));
    assertRefused("NUL", () -> PyTorchAndroid.setPipelineCache("a\u0000b"));
  }

  @Test
  public void collectionsInCollections() {
    IValue pair = IValue.tupleFrom(IValue.from(7L), IValue.from(tensor(1, 2)));
    Map<String, IValue> map = new HashMap<>();
    map.put("one", IValue.listFrom(pair));
    map.put("two", IValue.listFrom(pair, pair));
    Map<String, IValue> back =
        module.runMethod("nested", IValue.dictStringKeyFrom(map)).toDictStringKey();
    assertEquals(map.keySet(), back.keySet());
    IValue[] second = back.get("two").toList()[1].toTuple();
    assertEquals(7, second[0].toLong());
    assertArrayEquals(new float[] {1, 2}, floats(second[1]), 0);
  }

  @Test
  public void dictionariesWithNumbersForKeys() {
    Map<Long, IValue> map = Collections.singletonMap(-3L, IValue.from("minus three"));
    IValue back = module.runMethod("by_number", IValue.dictLongKeyFrom(map));
    assertEquals("minus three", back.toDictLongKey().get(-3L).toStr());
  }

  @Test
  public void extraFilesAreReadAndMissingOnesEmpty() {
    Map<String, String> files = new HashMap<>();
    files.put("labels.txt", null);
    files.put("nothing.txt", "old");
    files.put("packed.bin", null);
    String model = System.getProperty("models") + "/values.ptl";
    Module loaded = LiteModuleLoader.load(model, files, Device.CPU);
    assertEquals("Käse" + WEDGE, files.get("labels.txt"));
    assertEquals("", files.get("nothing.txt"));
    byte[] packed = {0, (byte) 0xff, (byte) 0xc3, 1}; // no text has such bytes
    assertArrayEquals(packed, loaded.extraFile("packed.bin"));
    loaded.extraFile("packed.bin")[0] = 7;
    assertArrayEquals(packed, loaded.extraFile("packed.bin"));
    assertEquals(0, loaded.extraFile("nothing.txt").length);
    assertNull(loaded.extraFile("labels"));
    Map<String, String> fixed = Collections.singletonMap("labels.txt", "");
    String path = System.getProperty("models") + "/values.ptl";
    assertRefused("HashMap", () -> LiteModuleLoader.load(path, fixed, Device.CPU));
  }

  @Test
  public void emptyTensors() {
    Tensor empty = Tensor.fromBlob(new float[0], new long[] {0, 3});
    Tensor back = module.runMethod("same", IValue.from(empty)).toTensor();
    assertArrayEquals(new long[] {0, 3}, back.shape());
    assertEquals(0, back.getDataAsFloatArray().length);
  }

  @Test
  public void everyTypeOfElementsComesBack() {
    long[] two = {2};
    assertArrayEquals(
        new byte[] {-1, 2},
        same(Tensor.fromBlobUnsigned(new byte[] {-1, 2}, two)).getDataAsUnsignedByteArray());
    assertArrayEquals(
        new byte[] {-1, 2}, same(Tensor.fromBlob(new byte[] {-1, 2}, two)).getDataAsByteArray());
    assertArrayEquals(
        new int[] {-1, 2}, same(Tensor.fromBlob(new int[] {-1, 2}, two)).getDataAsIntArray());
    assertArrayEquals(
        new long[] {-1, 2}, same(Tensor.fromBlob(new long[] {-1, 2}, two)).getDataAsLongArray());
    assertArrayEquals(
        new double[] {-1, 2},
        same(Tensor.fromBlob(new double[] {-1, 2}, two)).getDataAsDoubleArray(),
        0);
    boolean[] truths = {true, false};
    assertArrayEquals(truths, same(Tensor.fromBlob(truths, two)).getDataAsBooleanArray());
    short[] halves = {0x3c00, (short) 0xc000}; // 1 and -2
    assertArrayEquals(halves, same(Tensor.fromBlobHalf(halves, two)).getDataAsHalfArray());
    ShortBuffer buffer = Tensor.allocateHalfBuffer(2);
    buffer.put(halves);
    assertArrayEquals(halves, same(Tensor.fromBlobHalf(buffer, two)).getDataAsHalfArray());
  }

  @Test
  public void masksAreTruthValues() {
    Tensor mask = module.runMethod("comparison", IValue.from(tensor(1, -1, 0))).toTensor();
    assertEquals(DType.BOOL, mask.dtype());
    assertArrayEquals(new boolean[] {true, false, false}, mask.getDataAsBooleanArray());
    assertThrows(IllegalStateException.class, mask::getDataAsFloatArray);
  }

  @Test
  public void valuesAndModulesSayWhatTheyAre() {
    IValue pair = IValue.tupleFrom(IValue.from(7L), IValue.from(tensor(1, 2)));
    assertEquals("Tuple(Long(7), Tensor([2], dtype=torch.float32))", pair.toString());
    assertEquals("Null", IValue.optionalNull().toString());
    assertEquals("Tensor([2], dtype=torch.bool)", IValue.from(mask()).toString());
    Map<String, IValue> map = Collections.singletonMap("key", IValue.listFrom(1.5, 2.5));
    assertEquals(
        "DictStringKey(key: DoubleList(1.5, 2.5))", IValue.dictStringKeyFrom(map).toString());
    assertEquals(
        "LongList(0, 0, 0, 0, 0, 0, 0, 0, ... 1000000 in all)",
        IValue.listFrom(new long[1_000_000]).toString());
    IValue[] itself = {null};
    itself[0] = IValue.tupleFrom(itself);
    assertTrue(itself[0].toString().length() < 10_000);
    char[] letters = new char[1 << 20];
    assertTrue(IValue.from(new String(letters)).toString().length() < 10_000);
    assertTrue(module.toString(), module.toString().startsWith("Module(by_number(Dict[int, str] x)"));
    Module destroyed = load();
    destroyed.destroy();
    assertEquals("Module(destroyed)", destroyed.toString());
  }

  private static Tensor mask() {
    return Tensor.fromBlob(new boolean[] {true, false}, new long[] {2});
  }

  @Test
  public void whatModelsAndTheLibraryOfferIsSaid() {
    Map<String, String> signatures = module.signatures();
    assertEquals("forward(Tensor x) -> Tensor", signatures.get("forward"));
    assertEquals("count(int times) -> int", signatures.get("count"));
    assertFalse(signatures.containsKey("__setstate__"));
    assertThrows(UnsupportedOperationException.class, () -> signatures.remove("forward"));
    List<String> operators = Arrays.asList(NativeLibrary.operators());
    assertTrue(operators.toString(), operators.contains("aten::mul.Scalar"));
    assertFalse(operators.contains("aten::no_such"));
    assertArrayEquals(new Device[] {Device.CPU}, NativeLibrary.devices());
    assertTrue(NativeLibrary.pytorchVersion(), NativeLibrary.pytorchVersion().matches("2[.].*"));
  }

  private Tensor same(Tensor tensor) {
    return module.runMethod("same", IValue.from(tensor)).toTensor();
  }

  @Test
  public void exceptionsCarryTheNativeMessage() {
    RuntimeException raised =
        assertThrows(
            RuntimeException.class, () -> module.runMethod("fail", IValue.from("no " + WEDGE)));
    assertTrue(raised.getMessage(), raised.getMessage().contains("the model says: no " + WEDGE));
    RuntimeException shapes =
        assertThrows(RuntimeException.class, () -> module.forward(IValue.from(tensor(1, 2))));
    assertTrue(shapes.getMessage(), shapes.getMessage().contains("size"));
    RuntimeException missing =
        assertThrows(RuntimeException.class, () -> LiteModuleLoader.load("/no/such.ptl"));
    assertTrue(missing.getMessage(), missing.getMessage().contains("/no/such.ptl"));
  }

  @Test
  public void wrongArgumentsAreRefused() {
    assertRefused(
        "takes 1 input, this call passes 2",
        () -> module.forward(IValue.from(1L), IValue.from(2L)));
    assertRefused("takes 1 input, this call passes 0", module::forward);
    assertRefused("input 0 is int", () -> module.forward(IValue.from(1L)));
    assertRefused("null", () -> module.forward((IValue) null));
    assertRefused("null", () -> module.forward((IValue[]) null));
    assertRefused("null", () -> module.runMethod(null));
    assertRefused("null", () -> module.runMethod("text", IValue.from((String) null)));
    assertRefused("null", () -> module.runMethod("same", IValue.from((Tensor) null)));
    assertRefused("null", () -> LiteModuleLoader.load(null));
    assertRefused("null", () -> LiteModuleLoader.load("x.ptl", null, null));
    assertRefused("no method nothing", () -> module.runMethod("nothing"));
    assertRefused("CPU only", () -> LiteModuleLoader.load("x.ptl", null, Device.VULKAN));
    assertRefused("asset manager", () -> LiteModuleLoader.loadModuleFromAsset(null, "x.ptl"));
    Tensor flat = Tensor.fromBlob(new float[2], new long[] {2}, MemoryFormat.CHANNELS_LAST);
    assertRefused("channels last", () -> module.runMethod("same", IValue.from(flat)));
  }

  @Test
  public void resultsWithoutAJavaTypeAreRefused() {
    assertRefused("keys of float", () -> module.runMethod("by_real"));
  }

  private static void assertRefused(String reason, org.junit.function.ThrowingRunnable call) {
    RuntimeException refusal = assertThrows(RuntimeException.class, call);
    assertTrue(refusal.getMessage(), refusal.getMessage().contains(reason));
  }

  @Test
  public void modelsThatTakeTooManyInstructionsAreEnded() {
    IValue text = IValue.from("a");
    PyTorchAndroid.setStepLimit(1);
    try {
      assertRefused("instructions", () -> module.runMethod("text", text));
    } finally {
      PyTorchAndroid.setStepLimit(0);
    }
    assertEquals("a", module.runMethod("text", text).toStr());
    assertThrows(IllegalArgumentException.class, () -> PyTorchAndroid.setStepLimit(-1));
  }

  @Test
  public void kindsAreToldApart() {
    IValue value = IValue.from(1L);
    assertTrue(value.isLong());
    assertFalse(value.isDouble());
    IllegalStateException wrong = assertThrows(IllegalStateException.class, value::toTensor);
    assertEquals("this value is a Long, not a Tensor", wrong.getMessage());
    assertThrows(
        IllegalArgumentException.class, () -> IValue.listFrom(value, IValue.from("text")));
  }
}
