"""The mailbox and the account of every frame."""

from __future__ import annotations

import threading

from seg_node.mailbox import FrameAccount, Mailbox


def test_only_the_newest_stays():
    box: Mailbox[int] = Mailbox()
    assert [box.put(i) for i in range(3)] == [None, 0, 1]
    assert box.take(0.0) == 2
    assert box.take(0.0) is None


def test_a_longer_queue_keeps_the_newest_in_order():
    box: Mailbox[int] = Mailbox(3)
    assert [box.put(i) for i in range(5)] == [None, None, None, 0, 1]
    assert [box.take(0.0) for _ in range(2)] == [2, 3]
    assert box.put(5) is None
    assert box.close() == (4, 5)


def test_close_gives_back_what_nobody_took_and_takes_nothing_more():
    box: Mailbox[str] = Mailbox()
    box.put('a')
    assert box.close() == ('a',)
    assert box.put('b') == 'b'
    assert box.take() is None
    assert box.close() == ()


def test_close_wakes_a_waiting_consumer():
    box: Mailbox[int] = Mailbox()
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(box.take()))
    thread.start()
    box.close()
    thread.join(5)
    assert got == [None]


def test_a_waiting_consumer_gets_the_item():
    box: Mailbox[int] = Mailbox()
    got: list[int | None] = []
    thread = threading.Thread(target=lambda: got.append(box.take(5.0)))
    thread.start()
    box.put(7)
    thread.join(5)
    assert got == [7]


def test_every_item_is_taken_or_superseded_once_and_in_order():
    box: Mailbox[int] = Mailbox()
    account = FrameAccount()
    producers, each = 3, 400
    taken: list[int] = []
    superseded: list[int] = []
    lock = threading.Lock()

    def produce(start: int) -> None:
        for item in range(start, start + each):
            account.received()
            old = box.put(item)
            if old is not None:
                account.superseded()
                with lock:
                    superseded.append(old)

    def consume() -> None:
        while (item := box.take()) is not None:
            taken.append(item)
            account.published() if item % 2 else account.rejected('even')

    consumer = threading.Thread(target=consume)
    consumer.start()
    threads = [threading.Thread(target=produce, args=(1 + i * 1000,)) for i in range(producers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    left = box.close()
    consumer.join(5)
    for _ in left:
        account.stale()
    everything = sorted([*taken, *superseded, *left])
    assert everything == sorted(1 + i * 1000 + j for i in range(producers) for j in range(each))
    for start in range(producers):
        own = [item for item in taken if item // 1000 == start]
        assert own == sorted(own)
    counts = account.counts()
    assert counts.received == producers * each
    assert counts.pending == 0
    assert counts.published == sum(item % 2 for item in taken)
    assert account.causes().get('even', 0) == counts.rejected


def test_pending_frames_are_what_is_not_settled():
    account = FrameAccount()
    for _ in range(6):
        account.received()
    account.published()
    account.superseded()
    account.stale()
    account.rejected('step')
    account.rejected('size')
    assert account.counts().pending == 1
    assert account.causes() == {'step': 1, 'size': 1}
