// <iostream> of libstdc++ has a static object that starts the streams in each unit that includes it. So as not to give it
// to units that do not include it themselves, it is kept out of what is compiled ahead, up to end.h.

#include <istream>
#include <ostream>

#if defined(__GLIBCXX__) && !defined(_GLIBCXX_IOSTREAM)
#define TORCHLITE_WITHOUT_IOSTREAM
#define _GLIBCXX_IOSTREAM 1
namespace std _GLIBCXX_VISIBILITY(default) {
_GLIBCXX_BEGIN_NAMESPACE_VERSION
extern istream cin;
extern ostream cout;
extern ostream cerr;
extern ostream clog;
_GLIBCXX_END_NAMESPACE_VERSION
} // namespace std
#endif
