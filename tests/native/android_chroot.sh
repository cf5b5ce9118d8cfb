#!/bin/sh
# android_chroot.sh SYSTEM COMMAND...: runs a program of Android for this machine's own CPU, without an emulator. It sees the
# files of this machine, and the folder SYSTEM as /system. Only root may do that; no mount is left behind.
set -e
if [ -z "$ANDROID_CHROOT" ]; then
  ANDROID_CHROOT=1 exec unshare --mount sh "$0" "$@"
fi
system=$1
shift
root=/mnt
mount -t tmpfs none "$root"
for entry in /*; do
  case $entry in
    "$root" | /system) ;;
    *)
      if [ -L "$entry" ]; then
        cp -d "$entry" "$root/"
      elif [ -d "$entry" ]; then
        mkdir "$root$entry"
        mount --rbind "$entry" "$root$entry"
      fi
      ;;
  esac
done
mkdir "$root/system"
mount --bind "$system" "$root/system"
cd /
exec chroot "$root" "$@"
