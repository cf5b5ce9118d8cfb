// The pipelines that a driver has made of shaders, kept in a file: a later process then need not wait for its compiler.

#pragma once

#include <string>

namespace torchlite {

// Names the file, or none where it is empty. What it has is taken at once where the device is in use already, and
// otherwise when it will be. Nobody else may use the device meanwhile.
void set_pipeline_file(std::string path);

// Writes the file if pipelines were made since. A file that cannot be written is none. Nobody else may use the device
// meanwhile.
void save_pipelines() noexcept;

// Puts functions that keep track of pipelines in front of the driver's. loader.cpp calls it, once.
void watch_pipelines();

} // namespace torchlite
