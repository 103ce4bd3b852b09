"""A process is known again, and known to be gone."""

from __future__ import annotations

import multiprocessing
import os

from puna.accounts.holder import is_gone, this_process


def _tell(queue: multiprocessing.Queue[str]) -> None:
    queue.put(this_process())


def test_a_living_process_is_not_gone() -> None:
    assert not is_gone(this_process())


def test_a_dead_process_is_gone() -> None:
    context = multiprocessing.get_context("spawn")
    queue = context.Queue()
    child = context.Process(target=_tell, args=(queue,))
    child.start()
    holder = queue.get()
    child.join()
    assert holder != this_process()
    assert is_gone(holder)


def test_another_process_of_the_same_number_is_not_it() -> None:
    machine, pid, _ = this_process().split(":")
    assert int(pid) == os.getpid()
    assert is_gone(f"{machine}:{pid}:1")


def test_of_another_machine_nobody_can_tell() -> None:
    assert not is_gone("elsewhere:1:1")
