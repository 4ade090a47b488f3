"""Every item stands in one shard."""

from colintern.features.cutting import Item, plan_shards


def test_shards_hold_every_item_once():
    """An item in two shards or in none; a shard that is far too large; a plan out of order."""
    items = [Item(f"{number:02d}", size) for number, size in enumerate([5, 5, 5, 30, 5, 2, 2, 9])]
    shards = plan_shards([*items, items[0]], 10)
    assert [shard.items for shard in shards] == [
        ("00", "01"),
        ("02",),
        ("03",),
        ("04", "05", "06"),
        ("07",),
    ]
    assert len({shard.file for shard in shards}) == len(shards)
    assert plan_shards([], 10) == []
