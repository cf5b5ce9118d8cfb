// Uses LibTorch-Lite.h as apps of the old pod use PyTorch: what a TorchModule.mm does, without Objective-C. argv[1]:
// models:callers with the extra file labels.json.

#include <LibTorch-Lite/LibTorch-Lite.h>

namespace {

void expect(bool fact, const char* what) {
  if (!fact) {
    throw std::logic_error(what);
  }
}

template <typename Call>
void expect_error(const char* words, Call&& call) {
  try {
    call();
  } catch (const c10::Error& error) {
    expect(std::string(error.what()).find(words) != std::string::npos, error.what());
    return;
  }
  throw std::logic_error(words);
}

class TorchModule {
 public:
  explicit TorchModule(const char* path) {
    auto engines = at::globalContext().supportedQEngines();
    if (std::find(engines.begin(), engines.end(), at::QEngine::QNNPACK) != engines.end()) {
      at::globalContext().setQEngine(at::QEngine::QNNPACK);
    }
    impl_ = torch::jit::_load_for_mobile(path);
    impl_.eval();
  }

  std::vector<float> predict(void* image) {
    at::Tensor tensor = torch::from_blob(image, {2, 3}, at::kFloat);
    c10::InferenceMode guard;
    auto output = impl_.forward({tensor}).toGenericDict();
    auto out = output.at("out").toTensor().cpu();
    float* buffer = out.data_ptr<float>();
    return std::vector<float>(buffer, buffer + out.numel());
  }

  int64_t detect(float* image) {
    torch::autograd::AutoGradMode guard(false);
    at::AutoNonVariableTypeMode non_var_type_mode(true);
    std::vector<torch::Tensor> images;
    images.push_back(torch::from_blob(image, {1, 6}, torch::TensorOptions(at::kFloat)));
    images.push_back(at::from_blob(image, at::IntArrayRef({2}), at::kFloat));
    auto outputs = impl_.get_method("detect")({at::TensorList(images)}).toTuple();
    auto second = outputs->elements()[1].toList().get(1).toGenericDict();
    expect(second.at("boxes").toTensor().sizes() == c10::IntArrayRef({2}), "a box for each number");
    expect(second.at("boxes").toTensor().data_ptr<float>()[1] == 6, "three times the image");
    int64_t* labels = second.at("labels").toTensor().data_ptr<int64_t>();
    return outputs->elements()[0].toInt() + labels[0];
  }

  // As streaming models: the result of a call is an input of the next one.
  std::string recognize(float* sound) {
    at::Tensor tensor = torch::from_blob((void*)sound, {6}, at::kFloat);
    if (!has_state_) {
      auto outputs = impl_.run_method("recognize", tensor).toTuple();
      words_ = outputs->elements()[1];
      state_ = outputs->elements()[2];
      has_state_ = true;
      return outputs->elements()[0].toStringRef();
    }
    auto outputs = impl_.run_method("recognize", tensor, words_, state_).toTuple();
    expect(outputs->elements()[2].toTensor().item<float>() == 42, "the sum of both calls");
    return outputs->elements()[0].toStringRef();
  }

  std::vector<std::string> topics() {
    auto list = impl_.run_method("get_classes").toList();
    std::vector<std::string> topics;
    for (size_t i = 0; i < list.size(); i++) {
      topics.push_back(list.get(i).toString()->string());
    }
    return topics;
  }

  torch::jit::mobile::Module impl_;

 private:
  at::IValue words_;
  at::IValue state_;
  bool has_state_ = false;
};

void use(const char* path) {
  float image[] = {1, 2, 3, 4, 5, 6};
  TorchModule module(path);
  expect(module.predict(image) == std::vector<float>({2, 4, 6, 8, 10, 12}), "twice the image");
  expect(module.detect(image) == 3, "two images, and a label");
  expect(module.recognize(image) == "cat", "a word");
  expect(module.recognize(image) == "cat dog", "the words of both calls");
  expect(module.topics() == std::vector<std::string>({"cat", "dog"}), "texts");

  // A tensor outlives its module and its result.
  at::Tensor kept;
  {
    auto other = torch::jit::_load_for_mobile(path);
    c10::impl::GenericDict dict = other.forward({torch::from_blob(image, {2, 3}), 4.0}).toGenericDict();
    kept = dict.at("sum").toTensor();
    expect(dict.size() == 2 && dict.begin()->key().toStringRef() == "out", "a dict in order");
  }
  expect(kept.dim() == 0 && kept.item<double>() == 84, "the sum");
  expect(kept.clone().item<float>() == 84, "a copy");

  torch::jit::ExtraFilesMap extra{{"labels.json", ""}, {"none.txt", "?"}};
  torch::jit::_load_for_mobile(path, at::kCPU, extra);
  expect(extra["labels.json"] == "{\"labels\": [\"cat\", \"dog\"]}" && extra["none.txt"] == "?", "an extra file");
  std::ifstream stream(path, std::ios::binary);
  torch::jit::_load_for_mobile(stream).get_method("get_classes")({});
  torch::jit::_load_for_mobile(stream); // from the start again
  std::ifstream nothing("/nowhere");
  expect_error("the stream of a model cannot be read", [&] { torch::jit::_load_for_mobile(nothing); });
  std::ifstream again(path, std::ios::binary);
  torch::jit::ExtraFilesMap other{{"labels.json", ""}};
  torch::jit::_load_for_mobile(again, at::kCPU, other);
  expect(other == torch::jit::ExtraFilesMap{{"labels.json", extra["labels.json"]}}, "an extra file of a stream");

  bool is_freed = false;
  torch::from_blob(image, {6}, [&](void*) { is_freed = true; }, at::kFloat);
  expect(is_freed, "a deleter");

  expect_error("/nowhere", [] { torch::jit::_load_for_mobile("/nowhere"); });
  expect_error("no model is loaded", [] { torch::jit::mobile::Module().forward({}); });
  expect_error("forward takes at least 1 input", [&] { module.impl_.forward({}); });
  expect_error("expected scalar type Long but found Float", [&] { kept.data_ptr<int64_t>(); });
  expect_error("expected Tuple but got Dict", [&] { module.impl_.forward({torch::from_blob(image, {6})}).toTuple(); });
  expect_error("no key 'in'", [&] { module.impl_.forward({torch::from_blob(image, {6})}).toGenericDict().at("in"); });
  expect_error("negative", [&] { torch::from_blob(image, {-1}); });
  expect_error("undefined", [&] { module.impl_.forward({at::Tensor()}); });
}

// As PyTorch's: lists are shared, and what a value that ends here holds stays.
void share(TorchModule& module) {
  float image[] = {1, 2, 3, 4, 5, 6};
  const auto tensor = torch::from_blob(image, {6}, at::kFloat);
  c10::List<at::Tensor> list;
  const c10::IValue value(list);
  list.push_back(tensor);
  value.toTensorList().push_back(tensor);
  value.toList().push_back(tensor);
  expect(module.impl_.run_method("detect", value).toTuple()->elements()[0].toInt() == 3, "a list that grew");
  expect(list.size() == 3 && list.get(2).numel() == 6 && list.end() - list.begin() == 3, "the same list");
  float sum = 0;
  for (const at::Tensor& item : list) {
    sum += item.data_ptr<float>()[5];
  }
  expect(sum == 18, "the items of a list");
  expect(c10::IValue(std::vector<bool>{true, false}).toBoolList().vec()[0], "bools");
  expect(c10::IValue(std::vector<int>{1, 2}).toIntVector() == std::vector<int64_t>({1, 2}), "ints");
  expect(value.toList().begin()->isTensor() && value.toList().get(0).to<at::Tensor>().numel() == 6, "a value");
  expect_error("expected int but got Tensor", [&] { value.toIntList(); });
  list.set(1, torch::from_blob(image, {2}, at::kFloat));
  expect(value.toTensorVector()[1].numel() == 2, "an item that was set");
  expect_error("has no item 3", [&] { list.set(3, tensor); });
  c10::IValue left = value;
  const c10::IValue taken = std::move(left);
  expect(left.isNone() && taken.isList(), "a value that was moved from");
  const c10::IValue moved(std::move(list));
  c10::impl::GenericDict dict;
  const c10::IValue held(std::move(dict));
  list.push_back(tensor);
  dict.insert("one", tensor);
  expect(moved.toListRef().size() == 4 && held.toGenericDict().size() == 1, "a list and a dict that were moved from");

  int ended = 0;
  const auto end = [&](void*) { ended++; };
  expect_error("sizes of a tensor", [&] { torch::from_blob(image, {-1}, end, at::kFloat); });
  expect(ended == 0, "a deleter of refused memory");
  expect(torch::from_blob(image, {6}, end, at::kFloat).numel() == 6, "memory with a deleter");
  expect(ended == 1, "a deleter");
  expect(torch::from_blob(image, {6}, nullptr, at::kFloat).numel() == 6, "no deleter");

  const at::Tensor& once = module.impl_.forward({tensor}).toGenericDict().at("sum").toTensor();
  auto&& again = module.impl_.forward({tensor}).toGenericDict().at("sum").toTensor();
  expect(once.item<float>() == 42 && again.item<float>() == 42, "tensors of values that ended");
}

template <typename T, typename Element>
T item_of(Element element, at::ScalarType type) {
  return torch::from_blob(&element, {}, type).template item<T>();
}

void convert() {
  expect(item_of<uint8_t>(255.9F, at::kFloat) == 255 && item_of<uint8_t>(int64_t{-1}, at::kLong) == 255, "uint8");
  expect(item_of<int8_t>(int32_t{-128}, at::kInt) == -128 && item_of<float>(1e300 * 1e10, at::kDouble) > 0, "edges");
  expect(item_of<int64_t>(INT64_MIN, at::kLong) == INT64_MIN && item_of<uint64_t>(INT64_MAX, at::kLong) > 0, "wide");
  expect(item_of<bool>(uint8_t{2}, at::kByte) && item_of<bool>(2.5F, at::kFloat) && item_of<bool>(-1.0, at::kDouble), "true");
  expect(!item_of<bool>(int64_t{0}, at::kLong) && item_of<double>(true, at::kBool) == 1, "bools");
  const auto refused = [](auto&& call) { expect_error("does not fit", call); };
  refused([] { item_of<uint8_t>(300.7F, at::kFloat); });
  refused([] { item_of<int>(int64_t{1} << 40, at::kLong); });
  refused([] { item_of<int64_t>(std::nan(""), at::kDouble); });
  refused([] { item_of<int64_t>(9223372036854775808.0, at::kDouble); });
  refused([] { item_of<float>(1e300, at::kDouble); });
  refused([] { item_of<int8_t>(int16_t{-129}, at::kShort); });
}

// C's texts end at a NUL character, so what stands behind one would be lost.
void refuse_nul(TorchModule& module, const std::string& path) {
  const std::string cut("a\0b", 3);
  float image[] = {1};
  const auto tensor = torch::from_blob(image, {1});
  const auto refused = [](auto&& call) { expect_error("NUL", call); };
  refused([&] { module.impl_.run_method("recognize", tensor, std::vector<std::string>{cut}); });
  refused([&] { module.impl_.run_method(cut, tensor); });
  refused([&] { torch::jit::_load_for_mobile(path + cut); });
  torch::jit::ExtraFilesMap extra{{"labels.json" + cut, ""}};
  refused([&] { torch::jit::_load_for_mobile(path, at::kCPU, extra); });
}

} // namespace

int main(int argc, char** argv) {
  try {
    expect(argc == 2, "one argument");
    use(argv[1]);
    TorchModule module(argv[1]);
    share(module);
    convert();
    refuse_nul(module, argv[1]);
    std::cout << "done\n";
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
