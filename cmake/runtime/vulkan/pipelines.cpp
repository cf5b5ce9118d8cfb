// The file of pipelines. Its header says which driver and device they are for: Vulkan lets a driver crash on data that is
// not its own (VUID-VkPipelineCacheCreateInfo-initialDataSize-00769), so the driver sees none but what came from it.

#include "pipelines.h"

#include "../source.h"
#include "vulkan_wrapper.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <exception>
#include <utility>
#include <vector>

extern "C" unsigned long mz_crc32(unsigned long crc, const unsigned char* data, size_t size);

namespace torchlite {

namespace {

constexpr size_t max_size = 64u << 20; // those of a large model take some megabytes

struct Header {
  char magic[8];
  uint32_t vendor;
  uint32_t device;
  uint32_t driver;
  uint8_t uuid[VK_UUID_SIZE];
  uint32_t crc;
  uint64_t size;
};
static_assert(sizeof(Header) == 48, "it has no padding, since it is compared and written byte by byte");

// What the data of a driver begins with, by Vulkan's specification ("Pipeline Cache Header").
struct DriverHeader {
  uint32_t size;
  uint32_t version;
  uint32_t vendor;
  uint32_t device;
  uint8_t uuid[VK_UUID_SIZE];
};

using Bytes = std::vector<unsigned char>;

struct State {
  std::string path;
  VkDevice device = VK_NULL_HANDLE;
  VkPhysicalDeviceProperties properties{};
  VkPipelineCache cache = VK_NULL_HANDLE;
  bool has_more = false; // pipelines were made since the file was written or read
  Header known{}; // of the file, as it was written or read
  PFN_vkCreateDevice create_device = nullptr;
  PFN_vkCreatePipelineCache create_cache = nullptr;
  PFN_vkDestroyPipelineCache destroy_cache = nullptr;
  PFN_vkCreateComputePipelines create_pipelines = nullptr;
};

// It is never freed: drivers are called until the process ends.
State& state() {
  static auto* const one = new State;
  return *one;
}

Header describe(const Bytes& data) {
  const VkPhysicalDeviceProperties& properties = state().properties;
  Header header{};
  std::memcpy(header.magic, "TLPIPES1", sizeof(header.magic));
  header.vendor = properties.vendorID;
  header.device = properties.deviceID;
  header.driver = properties.driverVersion;
  std::memcpy(header.uuid, properties.pipelineCacheUUID, VK_UUID_SIZE);
  header.crc = static_cast<uint32_t>(mz_crc32(0, data.data(), data.size()));
  header.size = data.size();
  return header;
}

// Whether the driver of this device has written the data.
bool is_own(const Bytes& data) {
  DriverHeader header{};
  if (data.size() < sizeof(header)) {
    return false;
  }
  std::memcpy(&header, data.data(), sizeof(header));
  const VkPhysicalDeviceProperties& properties = state().properties;
  return header.size == sizeof(header) && header.version == VK_PIPELINE_CACHE_HEADER_VERSION_ONE &&
      header.vendor == properties.vendorID && header.device == properties.deviceID &&
      std::memcmp(header.uuid, properties.pipelineCacheUUID, VK_UUID_SIZE) == 0;
}

// The driver's data in the file; nothing where there is no such file, or one that is damaged or another driver's.
Bytes read_file(const std::string& path) {
  State& kept = state();
  kept.known = Header{};
  try {
    const Source source(path);
    Header header{};
    if (source.size() < sizeof(header) || source.size() > sizeof(header) + max_size ||
        !source.read(0, &header, sizeof(header))) {
      return {};
    }
    Bytes data(static_cast<size_t>(source.size()) - sizeof(header));
    if (!source.read(sizeof(header), data.data(), data.size())) {
      return {};
    }
    const Header wanted = describe(data);
    if (std::memcmp(&header, &wanted, sizeof(header)) != 0 || !is_own(data)) {
      return {};
    }
    kept.known = header;
    return data;
  } catch (const std::exception&) { // it is absent, or there is no memory for it
    return {};
  }
}

bool write_all(int file, const void* from, size_t size) {
  const char* rest = static_cast<const char*>(from);
  while (size > 0) {
    const ssize_t written = write(file, rest, size);
    if (written <= 0) {
      return false;
    }
    rest += written;
    size -= static_cast<size_t>(written);
  }
  return true;
}

// The file is complete or as it was: what is written beside it takes its place.
bool write_file(const std::string& path, const Header& header, const Bytes& data) {
  const std::string beside = path + "." + std::to_string(getpid()) + ".tmp";
  unlink(beside.c_str()); // of a process that was killed
  const int file = open(beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file < 0) {
    return false;
  }
  const bool written = write_all(file, &header, sizeof(header)) && write_all(file, data.data(), data.size());
  const bool closed = close(file) == 0;
  if (written && closed && rename(beside.c_str(), path.c_str()) == 0) {
    return true;
  }
  unlink(beside.c_str());
  return false;
}

Bytes ask_driver() {
  const State& kept = state();
  size_t size = 0;
  if (vkGetPipelineCacheData(kept.device, kept.cache, &size, nullptr) != VK_SUCCESS || size > max_size) {
    return {};
  }
  Bytes data(size);
  if (vkGetPipelineCacheData(kept.device, kept.cache, &size, data.data()) != VK_SUCCESS) {
    return {};
  }
  data.resize(size);
  return data;
}

VkResult create_cache(const Bytes& data, VkPipelineCache* made) {
  VkPipelineCacheCreateInfo info{};
  info.sType = VK_STRUCTURE_TYPE_PIPELINE_CACHE_CREATE_INFO;
  info.initialDataSize = data.size();
  info.pInitialData = data.data();
  return state().create_cache(state().device, &info, nullptr, made);
}

VKAPI_ATTR VkResult VKAPI_CALL make_device(
    VkPhysicalDevice physical,
    const VkDeviceCreateInfo* info,
    const VkAllocationCallbacks* allocator,
    VkDevice* device) {
  State& kept = state();
  const VkResult result = kept.create_device(physical, info, allocator, device);
  if (result == VK_SUCCESS) {
    vkGetPhysicalDeviceProperties(physical, &kept.properties);
    kept.device = *device;
    kept.cache = VK_NULL_HANDLE;
  }
  return result;
}

VKAPI_ATTR VkResult VKAPI_CALL make_cache(
    VkDevice device,
    const VkPipelineCacheCreateInfo* info,
    const VkAllocationCallbacks* allocator,
    VkPipelineCache* made) {
  State& kept = state();
  VkResult result = VK_ERROR_INITIALIZATION_FAILED;
  if (!kept.path.empty()) {
    if (const Bytes data = read_file(kept.path); !data.empty()) {
      result = create_cache(data, made);
    }
  }
  if (result != VK_SUCCESS) {
    result = kept.create_cache(device, info, allocator, made);
  }
  kept.cache = result == VK_SUCCESS ? *made : VK_NULL_HANDLE;
  return result;
}

VKAPI_ATTR void VKAPI_CALL
drop_cache(VkDevice device, VkPipelineCache cache, const VkAllocationCallbacks* allocator) {
  State& kept = state();
  if (cache == kept.cache) {
    kept.cache = VK_NULL_HANDLE;
  }
  kept.destroy_cache(device, cache, allocator);
}

VKAPI_ATTR VkResult VKAPI_CALL make_pipelines(
    VkDevice device,
    VkPipelineCache cache,
    uint32_t count,
    const VkComputePipelineCreateInfo* infos,
    const VkAllocationCallbacks* allocator,
    VkPipeline* made) {
  state().has_more = true;
  return state().create_pipelines(device, cache, count, infos, allocator, made);
}

} // namespace

void set_pipeline_file(std::string path) {
  State& kept = state();
  kept.path = std::move(path);
  if (kept.cache == VK_NULL_HANDLE || kept.path.empty()) {
    return;
  }
  const Bytes data = read_file(kept.path);
  VkPipelineCache read = VK_NULL_HANDLE;
  if (!data.empty() && create_cache(data, &read) == VK_SUCCESS) {
    vkMergePipelineCaches(kept.device, kept.cache, 1, &read);
    kept.destroy_cache(kept.device, read, nullptr);
  }
  kept.has_more = true;
  save_pipelines();
}

void save_pipelines() noexcept {
  State& kept = state();
  if (!kept.has_more || kept.cache == VK_NULL_HANDLE) {
    return;
  }
  kept.has_more = false;
  try {
    const Bytes data = kept.path.empty() ? Bytes() : ask_driver();
    const Header header = describe(data);
    const bool is_new = std::memcmp(&header, &kept.known, sizeof(header)) != 0;
    if (is_own(data) && is_new && write_file(kept.path, header, data)) {
      kept.known = header;
    }
  } catch (const std::exception&) { // there is no memory for a copy
  }
}

void watch_pipelines() {
  State& kept = state();
  kept.create_device = std::exchange(vkCreateDevice, make_device);
  kept.create_cache = std::exchange(vkCreatePipelineCache, make_cache);
  kept.destroy_cache = std::exchange(vkDestroyPipelineCache, drop_cache);
  kept.create_pipelines = std::exchange(vkCreateComputePipelines, make_pipelines);
}

} // namespace torchlite
