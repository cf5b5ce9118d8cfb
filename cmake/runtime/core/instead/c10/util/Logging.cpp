// Errors and messages of kernels, for runtimes with builder's own core. Errors have no trace of calls, which the
// library has no names for; nothing counts the uses of an API; and no flag or variable of the environment decides what
// is told: warnings and errors are.

#include <c10/util/Logging.h>

#include <cstdio>
#include <cstdlib>

#ifdef __ANDROID__
#include <android/log.h>
#endif

namespace c10 {

Error::Error(SourceLocation /*where*/, std::string text) : Error(std::move(text), Backtrace()) {}

void ThrowEnforceNotMet(
    const char* file, const int line, const char* condition, const std::string& text, const void* caller) {
  throw Error(file, static_cast<uint32_t>(line), condition, text, Backtrace(), caller);
}

void ThrowEnforceNotMet(
    const char* file, const int line, const char* condition, const char* text, const void* caller) {
  ThrowEnforceNotMet(file, line, condition, std::string(text), caller);
}

void ThrowEnforceFiniteNotMet(
    const char* file, const int line, const char* condition, const std::string& text, const void* caller) {
  throw EnforceFiniteError(file, static_cast<uint32_t>(line), condition, text, Backtrace(), caller);
}

void ThrowEnforceFiniteNotMet(
    const char* file, const int line, const char* condition, const char* text, const void* caller) {
  ThrowEnforceFiniteNotMet(file, line, condition, std::string(text), caller);
}

void LogAPIUsage(const std::string& /*event*/) {}

void LogAPIUsageMetadata(const std::string& /*context*/, const std::map<std::string, std::string>& /*metadata*/) {}

void LogPyTorchDDPUsage(const DDPLoggingData& /*data*/) {}

bool detail::LogAPIUsageFakeReturn(const std::string& /*event*/) {
  return true;
}

MessageLogger::MessageLogger(const char* file, int line, int severity) : tag_("native"), severity_(severity) {
  if (severity_ >= GLOG_WARNING) {
    stream_ << detail::StripBasename(file) << ":" << line << ": ";
  }
}

MessageLogger::~MessageLogger() {
  if (severity_ >= GLOG_WARNING) {
    const std::string text = stream_.str();
#ifdef __ANDROID__
    __android_log_write(severity_ == GLOG_WARNING ? ANDROID_LOG_WARN : ANDROID_LOG_ERROR, tag_, text.c_str());
#else
    std::fprintf(stderr, "%s\n", text.c_str());
#endif
  }
  if (severity_ == GLOG_FATAL) {
    DealWithFatal();
  }
}

} // namespace c10
