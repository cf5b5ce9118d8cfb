/* The interface of the class that upstream's apps have between Swift and C++. */
#import <Foundation/Foundation.h>

@interface TorchModule : NSObject
- (nullable instancetype)initWithFileAtPath:(nonnull NSString *)path;
- (nullable NSArray<NSNumber *> *)predictImage:(nonnull void *)pixels;
@end
