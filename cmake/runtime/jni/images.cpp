// A camera's picture as a normalised float tensor.

#include "calls.h"
#include "natives.h"

#include <algorithm>
#include <array>
#include <vector>

namespace torchlite::jni {

namespace {

struct Plane {
  const uint8_t* data;
  jint row_stride;
  jint pixel_stride;

  int at(int x, int y) const {
    return data[static_cast<ptrdiff_t>(y) * row_stride + static_cast<ptrdiff_t>(x) * pixel_stride];
  }
};

struct Picture {
  Plane luma;
  Plane blue;
  Plane red;
};

// Where the tensor's columns, or its rows, are in the picture.
struct Axis {
  int size; // of the picture
  int cropped;
  bool reversed;
};

int clamp_byte(int value) {
  return std::min(std::max(value, 0), 255);
}

// ITU-R BT.601 in ten binary digits, as Android's cameras encode.
std::array<int, 3> to_rgb(const Picture& picture, int x, int y) {
  const int luma = 1192 * std::max(picture.luma.at(x, y) - 16, 0);
  const int blue = picture.blue.at(x >> 1, y >> 1) - 128;
  const int red = picture.red.at(x >> 1, y >> 1) - 128;
  return {
      clamp_byte((luma + 1634 * red) >> 10),
      clamp_byte((luma - 833 * red - 400 * blue) >> 10),
      clamp_byte((luma + 2066 * blue) >> 10)};
}

// The step is a whole number of pixels where the picture is larger than the tensor, as in 2.1.0.
std::vector<int> choose_pixels(const Axis& axis, int count, double scale) {
  const int begin = (axis.size - axis.cropped) / 2;
  std::vector<int> pixels;
  for (int i = 0; i < count; i++) {
    const int step = static_cast<int>(i * scale);
    const int pixel = axis.reversed ? begin + axis.cropped - 1 - step : begin + step;
    pixels.push_back(std::min(std::max(pixel, 0), axis.size - 1));
  }
  return pixels;
}

struct Crop {
  std::vector<int> columns;
  std::vector<int> rows;
};

// The largest area in the middle with the tensor's proportions.
Crop crop(int width, int height, int degrees, int tensor_width, int tensor_height) {
  const bool lying = degrees == 90 || degrees == 270;
  int64_t upright_width = lying ? height : width;
  int64_t upright_height = lying ? width : height;
  if (tensor_width * upright_height <= tensor_height * upright_width) {
    upright_width = tensor_width * upright_height / tensor_height;
  } else {
    upright_height = tensor_height * upright_width / tensor_width;
  }
  const auto whole = static_cast<double>(upright_width / tensor_width);
  const double scale = whole > 0 ? whole : static_cast<double>(upright_width) / tensor_width;
  const auto across = static_cast<int>(lying ? upright_height : upright_width);
  const auto down = static_cast<int>(lying ? upright_width : upright_height);
  return {
      choose_pixels({width, across, degrees == 180 || degrees == 270}, tensor_width, scale),
      choose_pixels({height, down, degrees == 90 || degrees == 180}, tensor_height, scale)};
}

struct Normalisation {
  std::array<float, 3> mean;
  std::array<float, 3> deviation;

  float operator()(float value, size_t channel) const {
    return (value - 255 * mean[channel]) / (255 * deviation[channel]);
  }
};

// Where a column or row of the tensor lies between two of the picture.
struct Between {
  int first;
  int second;
  float share; // of the second
};

// `size` pixels, of which `cropped` in the middle become `count`, as interpolate() of PyTorch places them without
// align_corners.
std::vector<Between> place(int size, double cropped, int count, bool reversed) {
  std::vector<Between> places;
  for (int i = 0; i < count; i++) {
    const double exact = (size - cropped) / 2 + (i + 0.5) * cropped / count - 0.5;
    const double at = std::min(std::max(exact, 0.0), size - 1.0);
    const int first = static_cast<int>(at);
    const int second = std::min(first + 1, size - 1);
    const auto share = static_cast<float>(at - first);
    places.push_back(reversed ? Between{size - 1 - first, size - 1 - second, share} : Between{first, second, share});
  }
  return places;
}

float mix(float first, float second, float share) {
  return first + (second - first) * share;
}

// `colours_at(x, y)` are red, green and blue of a pixel.
template <typename Colours>
void write_scaled(
    const Colours& colours_at,
    const std::array<int, 2>& size,
    int degrees,
    const std::array<int, 2>& wanted,
    const Normalisation& normalise,
    bool channels_last,
    float* out) {
  const bool lying = degrees == 90 || degrees == 270;
  const int upright_width = size[lying ? 1 : 0];
  const int upright_height = size[lying ? 0 : 1];
  const double proportion = static_cast<double>(wanted[0]) / wanted[1];
  const double cropped_width = std::min<double>(upright_width, upright_height * proportion);
  const double cropped_height = std::min<double>(upright_height, upright_width / proportion);
  const bool mirrors_x = degrees == 180 || degrees == 270;
  const bool mirrors_y = degrees == 90 || degrees == 180;
  const auto across = place(upright_width, cropped_width, wanted[0], lying ? mirrors_y : mirrors_x);
  const auto down = place(upright_height, cropped_height, wanted[1], lying ? mirrors_x : mirrors_y);
  const size_t apart = channels_last ? 1 : across.size() * down.size();
  for (const auto& row : down) {
    for (const auto& column : across) {
      const auto& x = lying ? row : column;
      const auto& y = lying ? column : row;
      const auto a = colours_at(x.first, y.first);
      const auto b = colours_at(x.second, y.first);
      const auto c = colours_at(x.first, y.second);
      const auto d = colours_at(x.second, y.second);
      for (size_t i = 0; i < 3; i++) {
        const float upper = mix(static_cast<float>(a[i]), static_cast<float>(b[i]), x.share);
        const float lower = mix(static_cast<float>(c[i]), static_cast<float>(d[i]), x.share);
        out[i * apart] = normalise(mix(upper, lower, y.share), i);
      }
      out += channels_last ? 3 : 1;
    }
  }
}

void write(
    const Picture& picture,
    const Crop& area,
    const Normalisation& normalise,
    bool channels_last,
    float* out) {
  const size_t pixels = area.columns.size() * area.rows.size();
  const size_t step = channels_last ? 3 : 1;
  const size_t apart = channels_last ? 1 : pixels;
  for (const int y : area.rows) {
    for (const int x : area.columns) {
      const auto colours = to_rgb(picture, x, y);
      for (size_t channel = 0; channel < 3; channel++) {
        out[channel * apart] = normalise(static_cast<float>(colours[channel]), channel);
      }
      out += step;
    }
  }
}

template <typename T>
T* address_of(JNIEnv* env, jobject buffer, const char* what) {
  refuse_null(buffer, what);
  auto* address = static_cast<T*>(env->GetDirectBufferAddress(buffer));
  if (address == nullptr) {
    throw IllegalArgument(std::string(what) + " is no direct buffer");
  }
  return address;
}

// Refuses a plane without pixels, and one whose last pixel lies behind its buffer.
Plane read_plane(JNIEnv* env, jobject buffer, const jint* strides, jlong width, jlong height) {
  const auto* data = address_of<const uint8_t>(env, buffer, "a plane of the picture");
  if (width <= 0 || height <= 0) {
    throw IllegalArgument("a picture has a width and a height of at least 1");
  }
  const jlong last = (height - 1) * strides[0] + (width - 1) * strides[1];
  if (strides[0] < 0 || strides[1] < 0 || last >= env->GetDirectBufferCapacity(buffer)) {
    throw IllegalArgument("a plane of the picture is smaller than its strides say");
  }
  return {data, strides[0], strides[1]};
}

// Of these, one sample stands for two pixels in each direction.
Picture read_picture(
    JNIEnv* env, jobject luma, jobject blue, jobject red, const jint* strides, jlong width, jlong height) {
  const jlong half_width = (width + 1) / 2;
  const jlong half_height = (height + 1) / 2;
  return {
      read_plane(env, luma, &strides[0], width, height),
      read_plane(env, blue, &strides[2], half_width, half_height),
      read_plane(env, red, &strides[2], half_width, half_height)};
}

std::array<float, 3> read_three(JNIEnv* env, jobjectArray arrays, jsize index) {
  const Local<jobject> array(env, env->GetObjectArrayElement(arrays, index));
  refuse_null(array.get(), "means or deviations");
  std::array<float, 3> values{};
  env->GetFloatArrayRegion(static_cast<jfloatArray>(array.get()), 0, 3, values.data());
  check(env);
  return values;
}

void convert(
    JNIEnv* env,
    jclass,
    jobject luma,
    jobject blue,
    jobject red,
    jintArray java_strides,
    jint width,
    jint height,
    jint degrees,
    jint tensor_width,
    jint tensor_height,
    jobjectArray mean_and_deviation,
    jobject out,
    jint offset,
    jboolean channels_last) {
  guarded(env, [&] {
    std::array<jint, 4> strides{};
    env->GetIntArrayRegion(java_strides, 0, 4, strides.data());
    check(env);
    const Picture picture = read_picture(env, luma, blue, red, strides.data(), width, height);
    const Normalisation normalise{
        read_three(env, mean_and_deviation, 0), read_three(env, mean_and_deviation, 1)};
    write(
        picture,
        crop(width, height, degrees, tensor_width, tensor_height),
        normalise,
        channels_last != JNI_FALSE,
        address_of<float>(env, out, "the buffer to write to") + offset);
  });
}

constexpr jint bytes_of_rgba = 4;

// Of RGBA, `first` are all channels, and the others null; `strides` are as in convert().
void scale(
    JNIEnv* env,
    jclass,
    jobject first,
    jobject blue,
    jobject red,
    jintArray java_strides,
    jint width,
    jint height,
    jint degrees,
    jint tensor_width,
    jint tensor_height,
    jobjectArray mean_and_deviation,
    jobject out,
    jint offset,
    jboolean channels_last) {
  guarded(env, [&] {
    std::array<jint, 4> strides{};
    env->GetIntArrayRegion(java_strides, 0, 4, strides.data());
    check(env);
    const Normalisation normalise{
        read_three(env, mean_and_deviation, 0), read_three(env, mean_and_deviation, 1)};
    float* begin = address_of<float>(env, out, "the buffer to write to") + offset;
    const std::array<int, 2> size{width, height};
    const std::array<int, 2> wanted{tensor_width, tensor_height};
    const bool interleaved = channels_last != JNI_FALSE;
    if (blue == nullptr) {
      const jint row[] = {strides[0], 1};
      const Plane pixels = read_plane(env, first, row, jlong{width} * bytes_of_rgba, height);
      const auto colours_at = [&](int x, int y) {
        const int at = x * bytes_of_rgba;
        return std::array<int, 3>{pixels.at(at, y), pixels.at(at + 1, y), pixels.at(at + 2, y)};
      };
      return write_scaled(colours_at, size, degrees, wanted, normalise, interleaved, begin);
    }
    const Picture picture = read_picture(env, first, blue, red, strides.data(), width, height);
    const auto colours_at = [&](int x, int y) { return to_rgb(picture, x, y); };
    write_scaled(colours_at, size, degrees, wanted, normalise, interleaved, begin);
  });
}

} // namespace

void register_images(JNIEnv* env) {
  const Local<jclass> type(
      env, env->FindClass("org/pytorch/torchvision/TensorImageUtils$NativePeer"));
  if (type.get() == nullptr) {
    env->ExceptionClear();
    return;
  }
  constexpr auto text = [](const char* constant) { return const_cast<char*>(constant); };
  constexpr const char* signature =
      "(Ljava/nio/ByteBuffer;Ljava/nio/ByteBuffer;Ljava/nio/ByteBuffer;[IIIIII[[F"
      "Ljava/nio/FloatBuffer;IZ)V";
  const JNINativeMethod methods[] = {
      {text("convert"), text(signature), reinterpret_cast<void*>(convert)},
      {text("scale"), text(signature), reinterpret_cast<void*>(scale)}};
  for (const auto& method : methods) {
    // A shrinker takes away what the app does not call.
    if (env->GetStaticMethodID(type.get(), method.name, method.signature) == nullptr) {
      env->ExceptionClear();
      continue;
    }
    env->RegisterNatives(type.get(), &method, 1);
    check(env);
  }
}

} // namespace torchlite::jni
