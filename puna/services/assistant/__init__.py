"""The assistant: conversations, presets, memory, files and tools, and the turn that joins them.

In: an owner, words, files.  Out: events while an answer is made, and records that stay.
Does not know HTTP, nor how a page looks; nothing of it leaves the machine.
"""
