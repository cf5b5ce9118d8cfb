// The functions of Vulkan as variables, which loader.cpp sets. Kernels of upstream include this header by its name
// (aten/src/ATen/native/vulkan/api/vk_api.h): NDKs had one, until release 24.

#pragma once

#define VK_NO_PROTOTYPES
#include <vulkan/vulkan.h>

// What the kernels call, all of it in Vulkan 1.0.
#define TORCHLITE_VULKAN_FUNCTIONS(call) \
  call(vkAllocateCommandBuffers) \
  call(vkAllocateDescriptorSets) \
  call(vkBeginCommandBuffer) \
  call(vkCmdBindDescriptorSets) \
  call(vkCmdBindPipeline) \
  call(vkCmdCopyBuffer) \
  call(vkCmdCopyBufferToImage) \
  call(vkCmdCopyImage) \
  call(vkCmdCopyImageToBuffer) \
  call(vkCmdDispatch) \
  call(vkCmdPipelineBarrier) \
  call(vkCmdResetQueryPool) \
  call(vkCmdWriteTimestamp) \
  call(vkCreateBuffer) \
  call(vkCreateCommandPool) \
  call(vkCreateComputePipelines) \
  call(vkCreateDescriptorPool) \
  call(vkCreateDescriptorSetLayout) \
  call(vkCreateDevice) \
  call(vkCreateFence) \
  call(vkCreateImage) \
  call(vkCreateImageView) \
  call(vkCreateInstance) \
  call(vkCreatePipelineCache) \
  call(vkCreatePipelineLayout) \
  call(vkCreateQueryPool) \
  call(vkCreateSampler) \
  call(vkCreateShaderModule) \
  call(vkDestroyBuffer) \
  call(vkDestroyCommandPool) \
  call(vkDestroyDescriptorPool) \
  call(vkDestroyDescriptorSetLayout) \
  call(vkDestroyDevice) \
  call(vkDestroyFence) \
  call(vkDestroyImage) \
  call(vkDestroyImageView) \
  call(vkDestroyInstance) \
  call(vkDestroyPipeline) \
  call(vkDestroyPipelineCache) \
  call(vkDestroyPipelineLayout) \
  call(vkDestroyQueryPool) \
  call(vkDestroySampler) \
  call(vkDestroyShaderModule) \
  call(vkEndCommandBuffer) \
  call(vkEnumerateDeviceExtensionProperties) \
  call(vkEnumerateInstanceExtensionProperties) \
  call(vkEnumerateInstanceLayerProperties) \
  call(vkEnumeratePhysicalDevices) \
  call(vkGetBufferMemoryRequirements) \
  call(vkGetDeviceProcAddr) \
  call(vkGetDeviceQueue) \
  call(vkGetImageMemoryRequirements) \
  call(vkGetInstanceProcAddr) \
  call(vkGetPhysicalDeviceFormatProperties) \
  call(vkGetPhysicalDeviceMemoryProperties) \
  call(vkGetPhysicalDeviceProperties) \
  call(vkGetPhysicalDeviceQueueFamilyProperties) \
  call(vkGetPipelineCacheData) \
  call(vkGetQueryPoolResults) \
  call(vkMergePipelineCaches) \
  call(vkQueueSubmit) \
  call(vkQueueWaitIdle) \
  call(vkResetCommandPool) \
  call(vkResetDescriptorPool) \
  call(vkResetFences) \
  call(vkUpdateDescriptorSets) \
  call(vkWaitForFences)

#define TORCHLITE_DECLARE(name) extern PFN_##name name;
TORCHLITE_VULKAN_FUNCTIONS(TORCHLITE_DECLARE)
#undef TORCHLITE_DECLARE

// Opens Vulkan's library, once. Returns 0 where there is none, or where it lacks one of the functions.
int InitVulkan();
