package org.pytorch;

import java.lang.reflect.Array;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Collection;
import java.util.Deque;
import java.util.IdentityHashMap;
import java.util.LinkedHashMap;
import java.util.Locale;
import java.util.Map;
import org.jetbrains.annotations.NotNull;

/**
 * An argument or a result of a model: nothing, a {@link Tensor}, a boolean, a number, a text, or a
 * tuple, list or dictionary of values.
 *
 * <p>Each kind is made by one of the static methods, recognised by its {@code is} method and read by
 * its {@code to} method; the {@code to} methods of other kinds throw. Arrays and maps are kept and
 * handed out as they are, without a copy.
 *
 * <p>In a model, integers are {@code long} and floating-point numbers {@code double}.
 */
public class IValue implements AutoCloseable {
  // Known to the native side (cmake/runtime/jni/ivalues.cpp).
  private static final int NULL = 1;
  private static final int TENSOR = 2;
  private static final int BOOL = 3;
  private static final int LONG = 4;
  private static final int DOUBLE = 5;
  private static final int STRING = 6;
  private static final int TUPLE = 7;
  private static final int BOOL_LIST = 8;
  private static final int LONG_LIST = 9;
  private static final int DOUBLE_LIST = 10;
  private static final int TENSOR_LIST = 11;
  private static final int LIST = 12;
  private static final int DICT_STRING_KEY = 13;
  private static final int DICT_LONG_KEY = 14;

  private static final String[] NAMES = {
    "", "Null", "Tensor", "Bool", "Long", "Double", "String", "Tuple", "BoolList", "LongList",
    "DoubleList", "TensorList", "List", "DictStringKey", "DictLongKey"
  };

  /** Items of a collection, and collections in collections, that toString() shows. */
  private static final int MOST_SHOWN = 8;

  /** Characters after which toString() begins no other item. */
  private static final int LONGEST_TEXT = 1000;

  private final int typeCode;
  private final Object data;

  private IValue(int typeCode, Object data) {
    this.typeCode = typeCode;
    this.data = data;
  }

  /**
   * Says whether this is nothing, {@code None}.
   *
   * @return true if it is
   */
  public boolean isNull() {
    return typeCode == NULL;
  }

  /**
   * Says whether this is a tensor.
   *
   * @return true if it is
   */
  public boolean isTensor() {
    return typeCode == TENSOR;
  }

  /**
   * Says whether this is a boolean, {@code bool}.
   *
   * @return true if it is
   */
  public boolean isBool() {
    return typeCode == BOOL;
  }

  /**
   * Says whether this is an integer, {@code int}.
   *
   * @return true if it is
   */
  public boolean isLong() {
    return typeCode == LONG;
  }

  /**
   * Says whether this is a floating-point number, {@code float}.
   *
   * @return true if it is
   */
  public boolean isDouble() {
    return typeCode == DOUBLE;
  }

  /**
   * Says whether this is a text, {@code str}.
   *
   * @return true if it is
   */
  public boolean isString() {
    return typeCode == STRING;
  }

  /**
   * Says whether this is a tuple.
   *
   * @return true if it is
   */
  public boolean isTuple() {
    return typeCode == TUPLE;
  }

  /**
   * Says whether this is a list of booleans, {@code List[bool]}.
   *
   * @return true if it is
   */
  public boolean isBoolList() {
    return typeCode == BOOL_LIST;
  }

  /**
   * Says whether this is a list of integers, {@code List[int]}.
   *
   * @return true if it is
   */
  public boolean isLongList() {
    return typeCode == LONG_LIST;
  }

  /**
   * Says whether this is a list of floating-point numbers, {@code List[float]}.
   *
   * @return true if it is
   */
  public boolean isDoubleList() {
    return typeCode == DOUBLE_LIST;
  }

  /**
   * Says whether this is a list of tensors, {@code List[Tensor]}.
   *
   * @return true if it is
   */
  public boolean isTensorList() {
    return typeCode == TENSOR_LIST;
  }

  /**
   * Says whether this is a list of other values.
   *
   * @return true if it is
   */
  public boolean isList() {
    return typeCode == LIST;
  }

  /**
   * Says whether this is a dictionary whose keys are texts.
   *
   * @return true if it is
   */
  public boolean isDictStringKey() {
    return typeCode == DICT_STRING_KEY;
  }

  /**
   * Says whether this is a dictionary whose keys are integers.
   *
   * @return true if it is
   */
  public boolean isDictLongKey() {
    return typeCode == DICT_LONG_KEY;
  }

  /**
   * Makes the value that stands for nothing, {@code None}.
   *
   * @return the value
   */
  @NotNull
  public static IValue optionalNull() {
    return new IValue(NULL, null);
  }

  /**
   * Makes a tensor.
   *
   * @param tensor the tensor
   * @return the value
   */
  @NotNull
  public static IValue from(@NotNull Tensor tensor) {
    return new IValue(TENSOR, tensor);
  }

  /**
   * Makes a boolean.
   *
   * @param value the boolean
   * @return the value
   */
  @NotNull
  public static IValue from(boolean value) {
    return new IValue(BOOL, value);
  }

  /**
   * Makes an integer.
   *
   * @param value the integer
   * @return the value
   */
  @NotNull
  public static IValue from(long value) {
    return new IValue(LONG, value);
  }

  /**
   * Makes a floating-point number.
   *
   * @param value the number
   * @return the value
   */
  @NotNull
  public static IValue from(double value) {
    return new IValue(DOUBLE, value);
  }

  /**
   * Makes a text.
   *
   * @param value the text
   * @return the value
   */
  @NotNull
  public static IValue from(@NotNull String value) {
    return new IValue(STRING, value);
  }

  /**
   * Makes a list of booleans, {@code List[bool]}.
   *
   * @param list the booleans
   * @return the value
   */
  @NotNull
  public static IValue listFrom(@NotNull boolean... list) {
    return new IValue(BOOL_LIST, list);
  }

  /**
   * Makes a list of integers, {@code List[int]}.
   *
   * @param list the integers
   * @return the value
   */
  @NotNull
  public static IValue listFrom(@NotNull long... list) {
    return new IValue(LONG_LIST, list);
  }

  /**
   * Makes a list of floating-point numbers, {@code List[float]}.
   *
   * @param list the numbers
   * @return the value
   */
  @NotNull
  public static IValue listFrom(@NotNull double... list) {
    return new IValue(DOUBLE_LIST, list);
  }

  /**
   * Makes a list of tensors, {@code List[Tensor]}.
   *
   * @param list the tensors
   * @return the value
   */
  @NotNull
  public static IValue listFrom(@NotNull Tensor... list) {
    return new IValue(TENSOR_LIST, list);
  }

  /**
   * Makes a list of values of one kind. Lists of booleans, numbers and tensors have methods of their
   * own.
   *
   * @param array the values
   * @return the list
   * @throws IllegalArgumentException if they are of several kinds
   */
  @NotNull
  public static IValue listFrom(@NotNull IValue... array) {
    int first = NULL;
    for (IValue value : array) {
      if (value == null) {
        throw new IllegalArgumentException("an item of the list is null; IValue.optionalNull() is None");
      }
      if (first == NULL) {
        first = value.typeCode;
      } else if (value.typeCode != first && value.typeCode != NULL) {
        throw new IllegalArgumentException(
            String.format(
                Locale.ROOT,
                "a list holds values of one kind, not %s and %s",
                NAMES[first],
                NAMES[value.typeCode]));
      }
    }
    return new IValue(LIST, array);
  }

  /**
   * Makes a tuple.
   *
   * @param array its values, of any kinds
   * @return the tuple
   */
  @NotNull
  public static IValue tupleFrom(@NotNull IValue... array) {
    return new IValue(TUPLE, array);
  }

  /**
   * Makes a dictionary whose keys are texts.
   *
   * @param map keys and values; the values are of one kind
   * @return the dictionary
   */
  @NotNull
  public static IValue dictStringKeyFrom(@NotNull Map<String, IValue> map) {
    return new IValue(DICT_STRING_KEY, map);
  }

  /**
   * Makes a dictionary whose keys are integers.
   *
   * @param map keys and values; the values are of one kind
   * @return the dictionary
   */
  @NotNull
  public static IValue dictLongKeyFrom(@NotNull Map<Long, IValue> map) {
    return new IValue(DICT_LONG_KEY, map);
  }

  /**
   * Returns the tensor.
   *
   * @return the tensor
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public Tensor toTensor() {
    return (Tensor) checked(TENSOR);
  }

  /**
   * Returns the boolean.
   *
   * @return the boolean
   * @throws IllegalStateException if this is of another kind
   */
  public boolean toBool() {
    return (boolean) checked(BOOL);
  }

  /**
   * Returns the integer.
   *
   * @return the integer
   * @throws IllegalStateException if this is of another kind
   */
  public long toLong() {
    return (long) checked(LONG);
  }

  /**
   * Returns the number.
   *
   * @return the number
   * @throws IllegalStateException if this is of another kind
   */
  public double toDouble() {
    return (double) checked(DOUBLE);
  }

  /**
   * Returns the text.
   *
   * @return the text
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public String toStr() {
    return (String) checked(STRING);
  }

  /**
   * Returns the values of the tuple.
   *
   * @return the values of the tuple
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public IValue[] toTuple() {
    return (IValue[]) checked(TUPLE);
  }

  /**
   * Returns the booleans of the list.
   *
   * @return the booleans of the list
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public boolean[] toBoolList() {
    return (boolean[]) checked(BOOL_LIST);
  }

  /**
   * Returns the integers of the list.
   *
   * @return the integers of the list
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public long[] toLongList() {
    return (long[]) checked(LONG_LIST);
  }

  /**
   * Returns the numbers of the list.
   *
   * @return the numbers of the list
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public double[] toDoubleList() {
    return (double[]) checked(DOUBLE_LIST);
  }

  /**
   * Returns the tensors of the list.
   *
   * @return the tensors of the list
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public Tensor[] toTensorList() {
    return (Tensor[]) checked(TENSOR_LIST);
  }

  /**
   * Returns the values of the list.
   *
   * @return the values of the list
   * @throws IllegalStateException if this is of another kind
   */
  @NotNull
  public IValue[] toList() {
    return (IValue[]) checked(LIST);
  }

  /**
   * Returns the dictionary.
   *
   * @return the dictionary
   * @throws IllegalStateException if this is of another kind
   */
  @SuppressWarnings("unchecked")
  @NotNull
  public Map<String, IValue> toDictStringKey() {
    return (Map<String, IValue>) checked(DICT_STRING_KEY);
  }

  /**
   * Returns the dictionary.
   *
   * @return the dictionary
   * @throws IllegalStateException if this is of another kind
   */
  @SuppressWarnings("unchecked")
  @NotNull
  public Map<Long, IValue> toDictLongKey() {
    return (Map<Long, IValue>) checked(DICT_LONG_KEY);
  }

  /**
   * Frees the native memory of all tensors in this value now rather than when they are garbage-collected, as {@link
   * Tensor#close} does. Other values stay as they are.
   */
  @Override
  public void close() {
    // Without recursion, since values can be nested to any depth, and be in themselves.
    Map<Object, Boolean> seen = new IdentityHashMap<>();
    Deque<Object> waiting = new ArrayDeque<>();
    waiting.push(this);
    while (!waiting.isEmpty()) {
      Object item = waiting.pop();
      Object held = item instanceof IValue ? ((IValue) item).data : item;
      if (held instanceof Tensor) {
        ((Tensor) held).close();
      } else if (held instanceof Map && seen.put(held, true) == null) {
        pushAll(waiting, ((Map<?, ?>) held).values());
      } else if (held instanceof Object[] && seen.put(held, true) == null) {
        pushAll(waiting, Arrays.asList((Object[]) held));
      }
    }
  }

  private static void pushAll(Deque<Object> waiting, Collection<?> items) {
    for (Object item : items) {
      if (item != null) {
        waiting.push(item);
      }
    }
  }

  /**
   * Says what this is and holds, for logs and debuggers: {@code Tuple(Long(7), Tensor([2, 3], dtype=torch.float32))}.
   *
   * @return a text for people, of some thousand characters at most
   */
  @Override
  @NotNull
  public String toString() {
    StringBuilder text = new StringBuilder();
    write(text, 0);
    return text.toString();
  }

  private void write(StringBuilder text, int above) {
    if (typeCode == NULL) {
      text.append("Null");
    } else if (data instanceof Tensor) {
      text.append(shorten(data));
    } else {
      text.append(NAMES[typeCode]).append('(');
      writeData(text, above);
      text.append(')');
    }
  }

  private void writeData(StringBuilder text, int above) {
    if (above > MOST_SHOWN || text.length() > LONGEST_TEXT) {
      text.append("...");
    } else if (data instanceof Map) {
      writeEntries(text, above);
    } else if (data != null && data.getClass().isArray()) {
      int count = Array.getLength(data);
      for (int i = 0; i < Math.min(count, MOST_SHOWN); i++) {
        text.append(i == 0 ? "" : ", ");
        writeItem(text, Array.get(data, i), above);
      }
      text.append(count > MOST_SHOWN ? ", ... " + count + " in all" : "");
    } else {
      text.append(shorten(data));
    }
  }

  private static String shorten(Object item) {
    String whole = String.valueOf(item);
    return whole.length() > LONGEST_TEXT ? whole.substring(0, LONGEST_TEXT) + "..." : whole;
  }

  private void writeEntries(StringBuilder text, int above) {
    int shown = 0;
    for (Map.Entry<?, ?> entry : ((Map<?, ?>) data).entrySet()) {
      if (shown == MOST_SHOWN) {
        text.append(", ... ").append(((Map<?, ?>) data).size()).append(" in all");
        return;
      }
      text.append(shown++ == 0 ? "" : ", ").append(shorten(entry.getKey())).append(": ");
      writeItem(text, entry.getValue(), above);
    }
  }

  private static void writeItem(StringBuilder text, Object item, int above) {
    if (item instanceof IValue) {
      ((IValue) item).write(text, above + 1);
    } else {
      text.append(shorten(item));
    }
  }

  private Object checked(int wanted) {
    if (typeCode != wanted) {
      throw new IllegalStateException(
          String.format(
              Locale.ROOT, "this value is a %s, not a %s", NAMES[typeCode], NAMES[wanted]));
    }
    return data;
  }

  // The rest is called by the native side only.

  /** Returns the keys of a dictionary, an array of String or long, and its values. */
  private Object[] entries() {
    Object[] pairs = ((Map<?, ?>) data).entrySet().toArray();
    String[] texts = new String[typeCode == DICT_STRING_KEY ? pairs.length : 0];
    long[] numbers = new long[typeCode == DICT_LONG_KEY ? pairs.length : 0];
    IValue[] values = new IValue[pairs.length];
    for (int i = 0; i < pairs.length; i++) {
      Map.Entry<?, ?> pair = (Map.Entry<?, ?>) pairs[i];
      if (pair.getKey() == null) {
        throw new IllegalArgumentException("a key is null");
      }
      if (typeCode == DICT_STRING_KEY) {
        texts[i] = (String) pair.getKey();
      } else {
        numbers[i] = (Long) pair.getKey();
      }
      values[i] = (IValue) pair.getValue();
    }
    return new Object[] {typeCode == DICT_STRING_KEY ? texts : numbers, values};
  }

  private static IValue ofEntries(String[] keys, IValue[] values) {
    Map<String, IValue> map = new LinkedHashMap<>();
    for (int i = 0; i < keys.length; i++) {
      map.put(keys[i], values[i]);
    }
    return dictStringKeyFrom(map);
  }

  private static IValue ofEntries(long[] keys, IValue[] values) {
    Map<Long, IValue> map = new LinkedHashMap<>();
    for (int i = 0; i < keys.length; i++) {
      map.put(keys[i], values[i]);
    }
    return dictLongKeyFrom(map);
  }
}
