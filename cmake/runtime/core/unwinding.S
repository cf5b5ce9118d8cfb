// The start of the library's table of frames: an empty piece of its section, which the linker puts where the section
// begins. Not in C++, whose pieces link-time optimisation merges into those of all others.

#if defined(__x86_64__)
.section .eh_frame,"a",@unwind
#else
.section .eh_frame,"a",%progbits
#endif
.hidden torchlite_frames
.globl torchlite_frames
torchlite_frames:

.section .note.GNU-stack,"",%progbits
