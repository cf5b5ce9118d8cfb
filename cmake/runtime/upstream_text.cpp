#include "upstream_text.h"

#include <algorithm>
#include <cctype>
#include <string_view>

namespace torchlite {

namespace {

// Where upstream begins to speak to those who build it or add operators to it, up to the end.
constexpr std::string_view to_others[] = {
    "If you're using torch.compile",
    ", or that you (the operator writer)",
    "This could be because the operator doesn't exist",
    ". Please check if the operator library is included in the build."};
// What a sentence holds that sends people to upstream, in lower case.
constexpr std::string_view to_upstream[] = {
    "see http",
    "github.com",
    "pytorch.org",
    "fburl",
    "please report",
    "file an issue",
    "file a bug",
    "file us a",
    "open an issue",
    "feature request",
    "bug tracker",
    "employee"};
// 'condition INTERNAL ASSERT FAILED at "file":1, please report a bug to PyTorch. why'
constexpr std::string_view assertion = " INTERNAL ASSERT FAILED at ";
constexpr std::string_view end_of_assertion = "please report a bug to PyTorch. ";
// '[enforce fail at file:1] condition. why'
constexpr std::string_view enforcement = "[enforce fail at ";
// 'name (of Python compilation unit at: 0x7ffd)'
constexpr std::string_view unit = " (of Python compilation unit at: ";
// 'Static dispatch does not support name forCPU', of torchgen/gen.py
constexpr std::string_view no_kernel = "Static dispatch does not support ";
constexpr std::string_view no_operators = "Following ops cannot be found: ";

bool is_space(char c) {
  return c == ' ' || c == '\n';
}

// Erases from each `begin` to the end of the first `end` after it.
void erase_between(std::string& text, std::string_view begin, std::string_view end) {
  for (size_t at = text.find(begin); at != std::string::npos; at = text.find(begin)) {
    const size_t last = text.find(end, at);
    text.erase(at, last == std::string::npos ? last : last + end.size() - at);
  }
}

void replace(std::string& text, std::string_view begin, std::string_view by) {
  const size_t at = text.find(begin);
  if (at != std::string::npos) {
    text.replace(at, begin.size(), by);
  }
}

// Where the sentence ends that begins at `at`; what stands in brackets does not end it.
size_t end_of_sentence(std::string_view text, size_t at) {
  int open = 0;
  for (; at < text.size() && text[at] != '\n'; at++) {
    open = std::max(0, open + (text[at] == '(') - (text[at] == ')'));
    const bool stops = std::string_view(".!?;").find(text[at]) != std::string_view::npos;
    if (stops && open == 0 && at + 1 < text.size() && is_space(text[at + 1])) {
      break;
    }
  }
  return std::min(at + 1, text.size());
}

// Where a sentence begins to send people to upstream; npos if it does not.
size_t find_aside(std::string sentence) {
  std::transform(sentence.begin(), sentence.end(), sentence.begin(), [](unsigned char c) { return std::tolower(c); });
  size_t first = std::string::npos;
  for (const auto& words : to_upstream) {
    first = std::min(first, sentence.find(words));
  }
  return first;
}

// Drops the sentences that send people to upstream. Of a text of one sentence, the rest is kept.
std::string without_asides(const std::string& text) {
  std::string kept;
  for (size_t begin = 0, end; begin < text.size(); begin = end) {
    end = end_of_sentence(text, begin);
    const std::string sentence = text.substr(begin, end - begin);
    const size_t aside = find_aside(sentence);
    if (aside == std::string::npos) {
      kept += sentence;
    } else if (sentence.size() == text.size()) {
      kept += sentence.substr(0, aside);
    }
  }
  return kept;
}

} // namespace

std::string reword(std::string text) {
  for (size_t at = text.find(assertion); at != std::string::npos; at = text.find(assertion)) {
    const size_t line = text.rfind('\n', at);
    const size_t begin = line == std::string::npos ? 0 : line + 1;
    const size_t end = text.find(end_of_assertion, at);
    text.erase(begin, end == std::string::npos ? end : end + end_of_assertion.size() - begin);
  }
  for (const auto& start : to_others) {
    text.erase(std::min(text.find(start), text.size()));
  }
  text = without_asides(text);
  erase_between(text, enforcement, ". ");
  erase_between(text, unit, ")");
  replace(text, no_operators, "the runtime lacks the operators ");
  if (text.find(no_kernel) != std::string::npos) {
    text.erase(std::min(text.rfind(" for"), text.size()));
    replace(text, no_kernel, "the runtime has no kernel for ");
  }
  text.erase(text.find_last_not_of(" \n;(") + 1);
  return text.empty() ? "an operator was given what it is not made for" : text;
}

} // namespace torchlite
