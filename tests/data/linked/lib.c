/* lib.so is this file, linked with its relocations kept:

   clang -Os -fPIC -shared -nostdlib -fuse-ld=lld -ffunction-sections -fdata-sections -fno-ident \
     -Wl,--emit-relocs -Wl,--build-id=none -Wl,-z,max-page-size=4096 lib.c -o lib.so */
static const int table[64] = {1, 2, 3};
int puts(const char *);
__attribute__((noinline)) static int inner(int x) { return table[x & 63] + puts("inner"); }
__attribute__((noinline)) static int outer(int x) { return inner(x) * 3; }
int (*hook)(int) = outer;
int entry(int x) { return x > 3 ? outer(x) : hook(x); }
int other(int x) { return x * 5; }
