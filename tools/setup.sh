# Sourced by ./demo and ./test: system packages, and a Python environment of our own in .venv.

set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
venv="$root/.venv"

say() { printf '\033[1m==> %s\033[0m\n' "$*" >&2; }

fail() {
  printf 'error: %s\n' "$1" >&2
  shift
  for hint in "$@"; do printf 'hint: %s\n' "$hint" >&2; done
  exit 5
}

have_package() { dpkg-query -W -f='${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

# Runs a command as root, or fails where that needs a password.
as_root() {
  if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_install() {
  [ -z "${BUILDER_NO_APT:-}" ] && { [ "$(id -u)" = 0 ] || sudo -n true 2>/dev/null; }
}

# Debian's torch has XNNPACK and QNNPACK and is small; it needs the system's own Python.
has_system_torch() {
  /usr/bin/python3 -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null &&
    { have_package python3-torchvision || apt-cache show python3-torch python3-torchvision >/dev/null 2>&1; }
}

# Installs those of the named packages that are missing, or fails where that is not allowed.
install() {
  local missing=()
  for package in "$@"; do have_package "$package" || missing+=("$package"); done
  [ ${#missing[@]} = 0 ] && return 0
  may_install || fail "these packages are missing: ${missing[*]}" "sudo apt install ${missing[*]}"
  say "installing ${missing[*]}"
  local log
  log=$(mktemp)
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
    >"$log" 2>&1 || {
    tail -n 30 "$log" >&2
    fail "apt could not install ${missing[*]} (full log: $log)" "sudo apt-get update && sudo apt install ${missing[*]}"
  }
  rm -f "$log"
}

# The packages of the newest LLVM whose clang optimises at link time as builder wants it (17 and
# newer), otherwise of the system's own.
list_compilers() {
  local major
  for major in 19 18 17; do
    if apt-cache show "clang-$major" "lld-$major" "llvm-$major" >/dev/null 2>&1; then
      echo "clang-$major lld-$major llvm-$major"
      return 0
    fi
  done
  echo clang lld llvm
}

install_system_packages() {
  command -v dpkg-query >/dev/null || {
    command -v clang++ >/dev/null && command -v ld.lld >/dev/null ||
      fail "no apt here, and clang or lld is missing" "install clang, lld and llvm-strip, then run this again"
    return 0
  }
  if ! have_package lld-19 && ! have_package lld && may_install; then
    as_root apt-get update -qq || true
  fi
  # shellcheck disable=SC2046 # these are words
  install ca-certificates $(list_compilers) python3 python3-venv
  if has_system_torch; then install python3-torch python3-torchvision; fi
  # Only speeds things up, so it is no reason to fail.
  if may_install; then install ccache; fi
}

may_install_test_tools() { command -v dpkg-query >/dev/null && may_install; }

# What the tests of --launcher, of the Java side and of Vulkan need; they are skipped without.
install_test_tools() {
  if may_install_test_tools; then
    install ccache distcc default-jdk-headless maven glslc libvulkan-dev mesa-vulkan-drivers vulkan-validationlayers
  fi
}

make_environment() {
  local python=/usr/bin/python3 options=() torch=()
  if has_system_torch; then
    options=(--system-site-packages)
  else
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python=$(command -v python3.13 || command -v python3.12 || command -v python3.11) ||
      fail "Python 3.11 or newer is needed" "sudo apt install python3.11 python3.11-venv"
    torch=(torch==2.6.0 torchvision==0.21.0)
  fi
  [ -x "$venv/bin/python" ] || { say "making the Python environment .venv"; "$python" -m venv "${options[@]}" "$venv"; }
  local stamp="$venv/.installed$1" state
  state=$(sha256sum "$root/pyproject.toml" | cut -d' ' -f1)-${torch[*]:-system}
  [ "$(cat "$stamp" 2>/dev/null)" = "$state" ] && return 0
  say "installing builder and what it needs into .venv"
  "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ${torch[@]+"${torch[@]}"} -e "$root$1" >&2
  printf '%s' "$state" >"$stamp"
}

# setup EXTRAS, e.g. setup '[test]'
setup() {
  install_system_packages
  make_environment "${1:-}"
  export PATH="$venv/bin:$PATH"
}
