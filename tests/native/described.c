/* Prints what a model says of itself: its methods, an extra file, and what it logs. argv[1]: models:callers with the
 * extra file labels.json. */
#include <stdio.h>
#include <string.h>
#include <torchlite.h>

static void print_type(const torchlite_type* type) {
  printf("%d%s", (int)type->kind, type->is_optional ? "?" : "");
  if (type->count > 0) {
    printf("<");
    for (size_t i = 0; i < type->count; i++) {
      printf(i > 0 ? "," : "");
      print_type(&type->items[i]);
    }
    printf(">");
  }
}

static void note(void* user, torchlite_log_kind kind, const char* text) {
  ++*(int*)user;
  printf("log %d [%s]\n", (int)kind, text);
}

static int talk(torchlite_module* module) {
  static const int64_t sizes[] = {2, 3};
  static const float data[6] = {0};
  const torchlite_tensor input = {TORCHLITE_FLOAT32, 2, sizes, data};
  torchlite_result* result = NULL;
  if (torchlite_run_method(module, "talk", &input, 1, &result) != TORCHLITE_OK) {
    fprintf(stderr, "%s\n", torchlite_error());
    return 0;
  }
  torchlite_result_free(result);
  return 1;
}

int main(int argc, char** argv) {
  static const char* const names[] = {"labels.json", "none.txt"};
  torchlite_module* module = NULL;
  const torchlite_method* methods = NULL;
  const void* data = NULL;
  size_t count = 0, size = 7;
  int logged = 0;
  if (argc != 2 || torchlite_abi_version() != TORCHLITE_ABI_VERSION) return 1;
  if (torchlite_load_with_files(NULL, NULL, 0, names, 2, &module) != TORCHLITE_INVALID_ARGUMENT) return 2;
  if (torchlite_load_with_files(argv[1], NULL, 0, NULL, 1, &module) != TORCHLITE_INVALID_ARGUMENT) return 3;
  if (torchlite_load_with_files(argv[1], NULL, 0, names, 2, &module) != TORCHLITE_OK) return 4;
  if (torchlite_module_methods(module, NULL, &count) != TORCHLITE_INVALID_ARGUMENT) return 5;
  if (torchlite_module_methods(module, &methods, &count) != TORCHLITE_OK) return 6;
  for (size_t i = 0; i < count; i++) {
    printf("%s | %s |", methods[i].name, methods[i].text);
    for (size_t k = 0; k < methods[i].input_count; k++) {
      printf(" %s:", methods[i].inputs[k].name);
      print_type(&methods[i].inputs[k].type);
      printf(methods[i].inputs[k].has_default ? "=" : "");
    }
    printf(" ->");
    for (size_t k = 0; k < methods[i].output_count; k++) {
      printf(" ");
      print_type(&methods[i].outputs[k]);
    }
    printf(methods[i].is_typed ? "\n" : " untyped\n");
  }
  if (torchlite_module_file(module, "labels.json", &data, &size) != TORCHLITE_OK) return 7;
  printf("%zu %s\n", size, (const char*)data);
  if (torchlite_module_file(module, "none.txt", &data, &size) != TORCHLITE_OK || size != 0) return 8;
  if (torchlite_module_file(module, "other", &data, &size) != TORCHLITE_INVALID_ARGUMENT) return 9;
  printf("%s\n", torchlite_error());
  if (torchlite_set_log(note, &logged) != TORCHLITE_OK || !talk(module) || logged != 2) return 10;
  if (torchlite_set_log(NULL, NULL) != TORCHLITE_OK || !talk(module) || logged != 2) return 11;
  torchlite_module_free(module);
  return 0;
}
