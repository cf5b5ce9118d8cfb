// A bridge between Swift and C++ as apps of the old pod have it.
#import "TorchModule.h"

#import <LibTorch-Lite/LibTorch-Lite.h>

@implementation TorchModule {
 @protected
  torch::jit::mobile::Module _module;
  at::IValue _state;
}

- (nullable instancetype)initWithFileAtPath:(NSString *)path {
  self = [super init];
  if (self != nil) {
    try {
      at::globalContext().setQEngine(at::QEngine::QNNPACK);
      _module = torch::jit::_load_for_mobile(path.UTF8String);
    } catch (const std::exception &error) {
      NSLog(@"%s", error.what());
      return nil;
    }
  }
  return self;
}

- (nullable NSArray<NSNumber *> *)predictImage:(void *)pixels {
  try {
    c10::InferenceMode guard;
    at::Tensor image = torch::from_blob(pixels, {1, 3, 224, 224}, at::kFloat);
    auto outputs = _module.forward({image, _state}).toTuple();
    _state = outputs->elements()[1];
    auto scores = outputs->elements()[0].toGenericDict().at("scores").toTensor().cpu();
    const float *values = scores.data_ptr<float>();
    NSMutableArray<NSNumber *> *found = [NSMutableArray array];
    for (int64_t i = 0; i < scores.numel(); i++) {
      [found addObject:@(values[i])];
    }
    return found;
  } catch (const c10::Error &error) {
    NSLog(@"%s", error.what_without_backtrace());
  }
  return nil;
}

@end
