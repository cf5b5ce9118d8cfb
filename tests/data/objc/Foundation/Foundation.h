/* What samples in Objective-C use of Apple's framework, declared by us: enough to check their syntax and types. */
#include <stddef.h>
#include <stdint.h>

__attribute__((objc_root_class)) @interface NSObject
- (instancetype)init;
@end
@interface NSString : NSObject
@property(readonly) const char *UTF8String;
@end
@interface NSNumber : NSObject
+ (NSNumber *)numberWithFloat:(float)value;
@end
@interface NSArray<T> : NSObject
@end
@interface NSMutableArray<T> : NSArray <T>
+ (instancetype)array;
- (void)addObject:(T)object;
@end
#define nil ((id)0)
void NSLog(NSString *format, ...);
