/* A layer between Vulkan's loader and the driver: it takes a format away, and says what a pipeline cache begins with. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <vulkan/vk_layer.h>
#include <vulkan/vulkan.h>

static PFN_vkGetInstanceProcAddr next_of_instance;
static PFN_vkGetDeviceProcAddr next_of_device;
static PFN_vkGetPhysicalDeviceFormatProperties ask_format;
static PFN_vkCreatePipelineCache make_cache;

static VKAPI_ATTR VkResult VKAPI_CALL create_instance(
    const VkInstanceCreateInfo* info, const VkAllocationCallbacks* allocator, VkInstance* made) {
  VkLayerInstanceCreateInfo* chain = (VkLayerInstanceCreateInfo*)info->pNext;
  while (chain->sType != VK_STRUCTURE_TYPE_LOADER_INSTANCE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO) {
    chain = (VkLayerInstanceCreateInfo*)chain->pNext;
  }
  next_of_instance = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
  VkResult result = ((PFN_vkCreateInstance)next_of_instance(NULL, "vkCreateInstance"))(info, allocator, made);
  if (result == VK_SUCCESS) {
    ask_format = (PFN_vkGetPhysicalDeviceFormatProperties)next_of_instance(*made, "vkGetPhysicalDeviceFormatProperties");
  }
  return result;
}

static VKAPI_ATTR VkResult VKAPI_CALL create_device(
    VkPhysicalDevice physical,
    const VkDeviceCreateInfo* info,
    const VkAllocationCallbacks* allocator,
    VkDevice* made) {
  VkLayerDeviceCreateInfo* chain = (VkLayerDeviceCreateInfo*)info->pNext;
  while (chain->sType != VK_STRUCTURE_TYPE_LOADER_DEVICE_CREATE_INFO || chain->function != VK_LAYER_LINK_INFO) {
    chain = (VkLayerDeviceCreateInfo*)chain->pNext;
  }
  PFN_vkGetInstanceProcAddr next = chain->u.pLayerInfo->pfnNextGetInstanceProcAddr;
  next_of_device = chain->u.pLayerInfo->pfnNextGetDeviceProcAddr;
  chain->u.pLayerInfo = chain->u.pLayerInfo->pNext;
  VkResult result = ((PFN_vkCreateDevice)next(NULL, "vkCreateDevice"))(physical, info, allocator, made);
  if (result == VK_SUCCESS) {
    make_cache = (PFN_vkCreatePipelineCache)next_of_device(*made, "vkCreatePipelineCache");
  }
  return result;
}

static VKAPI_ATTR void VKAPI_CALL
format_properties(VkPhysicalDevice physical, VkFormat format, VkFormatProperties* properties) {
  const char* absent = getenv("ABSENT_FORMAT");
  ask_format(physical, format, properties);
  if (absent != NULL && atoi(absent) == (int)format) {
    memset(properties, 0, sizeof(*properties));
  }
}

static VKAPI_ATTR VkResult VKAPI_CALL create_pipeline_cache(
    VkDevice device,
    const VkPipelineCacheCreateInfo* info,
    const VkAllocationCallbacks* allocator,
    VkPipelineCache* made) {
  fprintf(stderr, "pipelines: %zu bytes\n", info->initialDataSize);
  return make_cache(device, info, allocator, made);
}

static const struct {
  const char* name;
  PFN_vkVoidFunction function;
} own[] = {
    {"vkCreateInstance", (PFN_vkVoidFunction)create_instance},
    {"vkCreateDevice", (PFN_vkVoidFunction)create_device},
    {"vkGetPhysicalDeviceFormatProperties", (PFN_vkVoidFunction)format_properties},
    {"vkCreatePipelineCache", (PFN_vkVoidFunction)create_pipeline_cache},
};

static PFN_vkVoidFunction find(const char* name) {
  for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
    if (strcmp(own[i].name, name) == 0) {
      return own[i].function;
    }
  }
  return NULL;
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL device_function(VkDevice device, const char* name) {
  PFN_vkVoidFunction found = find(name);
  return found != NULL ? found : next_of_device(device, name);
}

static VKAPI_ATTR PFN_vkVoidFunction VKAPI_CALL instance_function(VkInstance instance, const char* name) {
  if (strcmp(name, "vkGetDeviceProcAddr") == 0) {
    return (PFN_vkVoidFunction)device_function;
  }
  PFN_vkVoidFunction found = find(name);
  return found != NULL ? found : next_of_instance(instance, name);
}

__attribute__((visibility("default"))) VKAPI_ATTR VkResult VKAPI_CALL
vkNegotiateLoaderLayerInterfaceVersion(VkNegotiateLayerInterface* version) {
  version->loaderLayerInterfaceVersion = 2;
  version->pfnGetInstanceProcAddr = instance_function;
  version->pfnGetDeviceProcAddr = device_function;
  version->pfnGetPhysicalDeviceProcAddr = NULL;
  return VK_SUCCESS;
}
