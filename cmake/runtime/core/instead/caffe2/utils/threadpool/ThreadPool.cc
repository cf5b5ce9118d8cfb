#include "core/plain_flags.h"

#include <caffe2/utils/threadpool/ThreadPool.cc>
