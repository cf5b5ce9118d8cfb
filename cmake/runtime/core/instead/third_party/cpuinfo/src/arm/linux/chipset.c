// What chip a device has, without its name, which nothing in a runtime asks for.

#include <arm/api.h>

#define cpuinfo_arm_chipset_to_string torchlite_write_chipset
#include <arm/linux/chipset.c>
#undef cpuinfo_arm_chipset_to_string

void cpuinfo_arm_chipset_to_string(
    const struct cpuinfo_arm_chipset chipset[restrict static 1], char name[restrict static CPUINFO_ARM_CHIPSET_NAME_MAX]) {
  (void)chipset;
  name[0] = '\0';
}
