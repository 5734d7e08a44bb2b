// Another LLVM in the same program: functions under names that streamattn's copy has too, which end
// the program where streamattn reaches them. Two of one archive member, so that the member is a
// clash for a linker that needs it for a third.
#include <cstdlib>

#define OTHER_LLVM(name, mangled) \
  void name() asm(mangled);       \
  void name() { std::abort(); }

OTHER_LLVM(raw_ostream_write, "_ZN4llvm11raw_ostream5writeEPKcm")
OTHER_LLVM(raw_ostream_write_char, "_ZN4llvm11raw_ostream5writeEh")
OTHER_LLVM(raw_ostream_destructor, "_ZN4llvm11raw_ostreamD2Ev")
OTHER_LLVM(edit_distance, "_ZNK4llvm9StringRef13edit_distanceES0_bj")
OTHER_LLVM(split, "_ZNK4llvm9StringRef5splitERNS_15SmallVectorImplIS0_EEcib")
OTHER_LLVM(grow_pod, "_ZN4llvm15SmallVectorBaseIjE8grow_podEPvmm")
OTHER_LLVM(get_as_signed_integer, "_ZN4llvm18getAsSignedIntegerENS_9StringRefEjRx")
