// Uses torchlite.hpp; what is wrong is thrown. argv[1]: models:callers with the extra file labels.json.

#include <torchlite.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <stdexcept>
#include <thread>
#include <type_traits>

namespace {

void expect(bool fact, const char* what) {
  if (!fact) {
    throw std::logic_error(what);
  }
}

template <typename Call>
void expect_error(torchlite_status status, const char* words, Call&& call) {
  try {
    call();
  } catch (const torchlite::Error& error) {
    expect(error.status() == status, error.what());
    expect(std::string(error.what()).find(words) != std::string::npos, error.what());
    return;
  }
  throw std::logic_error(words);
}

void use(torchlite::Module& module) {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const auto input = torchlite::tensor(x, {2, 3});
  const torchlite::Result twice = module.forward({input});
  expect(twice.size() == 2, "two tensors");
  const auto out = twice.value().at("out").tensor();
  expect(out.sizes() == std::vector<std::int64_t>{2, 3}, "the sizes of the input");
  expect(out.to_vector<float>() == std::vector<float>{2, 4, 6, 8, 10, 12}, "twice the input");
  expect(twice.value().key(1) == "sum" && twice[1].data<float>()[0] == 42, "the sum");
  const std::vector<float> mask = {0, 1, 0};
  const auto masked = module.forward({input, 3.0, torchlite::tensor(mask, {3})});
  expect(masked[0].to_vector<float>() == std::vector<float>{0, 6, 0, 0, 15, 0}, "scaled and masked");

  const auto found = module.run("detect", {torchlite::Value::list({torchlite::tensor(x, {6}), input})});
  const auto value = found.value();
  expect(value.kind() == TORCHLITE_VALUE_TUPLE && value[0].integer() == 2, "a number of images");
  expect(value[1][1].at("labels").tensor().to_vector<std::int64_t>() == std::vector<std::int64_t>{1, 1}, "labels");

  // The result of one call goes into the next.
  const auto first = module.run("recognize", {input});
  expect(first.value()[0].text() == "cat", "a text");
  const auto state = first.value()[2].tensor();
  const auto second = module.run(
      "recognize", {input, torchlite::Value::list({"a", "b"}), torchlite::tensor(state.data<float>(), state.sizes())});
  expect(second.value()[0].text() == "a b dog" && second[0].data<float>()[0] == 42, "texts and a state");
  const auto third = module.run("recognize", {input, torchlite::Value(), torchlite::Value()});
  expect(third.value()[1].size() == 1, "None");

  expect_error(TORCHLITE_RUN_FAILED, "forward takes at least 1 input", [&] { module.forward({}); });
  expect_error(TORCHLITE_RUN_FAILED, "no method 'nothing'", [&] { module.run("nothing", {}); });
  expect_error(TORCHLITE_INVALID_ARGUMENT, "another number of elements", [&] { torchlite::tensor(x, {7}); });
  expect_error(TORCHLITE_INVALID_ARGUMENT, "dtype", [&] { out.data<double>(); });
  expect_error(TORCHLITE_INVALID_ARGUMENT, "no key 'in'", [&] { twice.value().at("in"); });
  expect_error(TORCHLITE_INVALID_ARGUMENT, "not a string", [&] { twice.value().text(); });
  expect_error(TORCHLITE_INVALID_ARGUMENT, "no item 2", [&] { value[2]; });
}

// C's texts end at a NUL character, so what stands behind one would be lost.
void refuse_nul(torchlite::Module& module, const std::string& path) {
  const std::string cut("a\0b", 3);
  const std::vector<float> x(6);
  const auto input = torchlite::tensor(x, {2, 3});
  const auto refused = [](auto&& call) { expect_error(TORCHLITE_INVALID_ARGUMENT, "NUL", call); };
  refused([&] { module.run("recognize", {input, torchlite::Value::list({cut})}); });
  refused([&] { module.run("recognize", {torchlite::Value::dict({{cut, input}})}); });
  refused([&] { module.run(cut, {input}); });
  refused([&] { torchlite::Module(path + cut); });
  refused([&] { torchlite::Module(path, {cut}); });
  refused([&] { (void)module.file(cut); });
}

// Modules of two threads read the same inputs.
void share_inputs(torchlite::Module& one, torchlite::Module& other) {
  const std::vector<float> x = {1, 2, 3, 4, 5, 6};
  const std::vector<torchlite::Value> items(200, torchlite::tensor(x, {6}));
  const std::vector<torchlite::Value> inputs{torchlite::Value::list(items)};
  const auto count = [&](torchlite::Module& module, std::int64_t& counted) {
    for (int round = 0; round < 20; round++) {
      counted += module.run("detect", inputs).value()[0].integer();
    }
  };
  std::int64_t here = 0, there = 0;
  std::thread thread([&] { count(other, there); });
  count(one, here);
  thread.join();
  expect(here == 4000 && there == 4000, "the numbers of images on two threads");
}

// What the functions say that a log function may not call.
struct Refused {
  torchlite::Module* other;
  std::string call;
  std::string threads;
};

void log_and_call(void* user, torchlite_log_kind, const char*) {
  auto& refused = *static_cast<Refused*>(user);
  const auto said = [](auto&& call) -> std::string {
    try {
      call();
    } catch (const torchlite::Error& error) {
      return error.what();
    }
    return "nothing";
  };
  refused.call = said([&] { refused.other->run("get_classes", {}); });
  refused.threads = said([] { torchlite::set_threads(1); });
}

void call_in_log(torchlite::Module& module, torchlite::Module& other) {
  Refused refused{&other, "", ""};
  torchlite_set_log(log_and_call, &refused);
  const std::vector<float> x(6);
  module.run("talk", {torchlite::tensor(x, {6})});
  torchlite_set_log(nullptr, nullptr);
  for (const auto& said : {refused.call, refused.threads}) {
    expect(said.find("a log function cannot load or call a model") != std::string::npos, said.c_str());
  }
  other.run("get_classes", {});
}

void run(const char* path) {
  torchlite::Module module(path, {"labels.json"});
  expect(module.file("labels.json") == R"({"labels": ["cat", "dog"]})", "an extra file");
  expect(module.methods().size() == 5 && module.methods()[1].input_count == 3, "methods");
  use(module);

  std::ifstream stream(path, std::ios::binary);
  const std::vector<char> content{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  torchlite::Module moved(content.data(), content.size());
  torchlite::Module other = std::move(moved);
  use(other);
  refuse_nul(module, path);
  share_inputs(module, other);
  call_in_log(module, other);
  torchlite::Module(path, {}); // not from memory of no bytes

  expect_error(TORCHLITE_LOAD_FAILED, "/nowhere", [] { torchlite::Module("/nowhere"); });
  expect(torchlite::devices().front() == "cpu" && !torchlite::operators().empty(), "what the runtime has");
  torchlite::set_threads(1);
  std::cout << "done\n";
}

} // namespace

// A pointer is not taken for a bool.
static_assert(!std::is_constructible<torchlite::Value, float*>::value, "a pointer");
static_assert(std::is_constructible<torchlite::Value, char*>::value, "a text");

int main(int argc, char** argv) {
  try {
    expect(argc == 2, "one argument");
    run(argv[1]);
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << "\n";
    return 1;
  }
}
