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

// An index of them without a table: its version, how the address of the frames is written (relative, 4 bytes), and that it
// has neither a count nor a table (DW_EH_PE_omit).
.section .rodata.torchlite_frame_header,"a",%progbits
.hidden torchlite_frame_header
.globl torchlite_frame_header
.balign 4
torchlite_frame_header:
.byte 1, 0x1b, 0xff, 0xff
.long torchlite_frames - .

.section .note.GNU-stack,"",%progbits
