"""Clones of the sources become sets in the training layout."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from seg_node_training.config import RECIPES, load_recipe
from seg_node_training.data import gather
from seg_node_training.data.folders import FolderSet
from seg_node_training.data.sources import load_sources, page

REPOSITORY = Path(__file__).resolve().parents[3]
SOURCES = {source.name: source for source in load_sources()}


def picture(path: Path, seed: int, size: tuple[int, int] = (40, 60)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    rough = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), np.uint8)
    cv2.imwrite(str(path), cv2.resize(rough, size[::-1], interpolation=cv2.INTER_LINEAR))


def test_the_page_is_what_the_list_says():
    assert (REPOSITORY / 'docs/data.md').read_text() == page(load_sources())


def test_recipes_that_ship_name_only_what_may_ship():
    paths = {source.path: source for source in SOURCES.values()}
    for recipe in map(load_recipe, (p.stem for p in RECIPES.glob('*.yaml'))):
        for part in recipe.data.train:
            if recipe.data.root == '../shared/data' and part.path in paths:
                assert paths[part.path].ship, (recipe.name, part.path)


def test_clones_become_sets(tmp_path, monkeypatch, capsys):
    clones, data = tmp_path / 'clones', tmp_path / 'data'
    road = clones / 'Beastojenisto/Yolov8LaneSegmentation/road_segmentationv1.1-3/train'
    picture(road / 'images/a.jpg', 0)
    (road / 'labels').mkdir()
    (road / 'labels/a.txt').write_text('0 0 0.5 1 0.5 1 1 0 1\n')
    tape = clones / 'nogueira04+lanenet-lane-detection/data/segurauto/train'
    picture(tape / 't.rf.a.jpg', 1)
    picture(tape / 't.rf.b.jpg', 1)
    coco = {
        'images': [{'id': 7, 'file_name': 't.rf.a.jpg'}],
        'annotations': [{'image_id': 7, 'segmentation': [[10, 0, 20, 0, 20, 39, 10, 39]]}],
    }
    (tape / '_annotations.coco.json').write_text(json.dumps(coco))
    dash = clones / 'Lane-departure-warning/images'
    picture(dash / 'x.png', 2, (200, 1920))
    cv2.imwrite(str(dash / 'y.png'), cv2.imread(str(dash / 'x.png')) // 2 * 2)  # looks alike
    picture(dash / 'z.png', 3)
    brazil = clones / 'Cracks-and-Potholes-in-Road-Images-Dataset/Dataset/1'
    picture(brazil / '1_RAW.jpg', 4)
    cv2.imwrite(
        str(brazil / '1_LANE.png'), np.repeat([[0, 255]], 20, 0).repeat(30, 1).repeat(2, 0)
    )
    monkeypatch.setattr(sys, 'argv', ['gather.py', str(clones), '-o', str(data)])
    assert gather.main() == 0
    said = capsys.readouterr().out
    assert 'labelled/roboflow_road: 1 pictures' in said
    assert 'unlabelled/vietnam_dashcam_chanremin: 2 pictures' in said
    assert 'no clone of: ' in said and 'commaai/comma2k19' in said

    for name, knows, plane, rows, columns in (
        ('labelled/roboflow_road', 'road', 0, slice(22, 40), slice(0, 60)),
        ('labelled/segurauto_tape', 'line', 1, slice(0, 40), slice(11, 20)),
    ):
        found = FolderSet('set', data / name, knows)
        _, target = found.load(found.sources()[0])
        assert np.all(target[plane, rows, columns] == 254)
        assert np.mean(target[plane] == 254) < 0.6
    assert (data / 'labelled/roboflow_road/train.txt').read_text() == '00001_a\n'
    wide = sorted((data / 'unlabelled/vietnam_dashcam_chanremin/images').iterdir())[0]
    assert cv2.imread(str(wide)).shape == (100, 960, 3)
    (lane,) = (data / 'unlabelled/dnit_brazil/labels').iterdir()
    ids = cv2.imread(str(lane), cv2.IMREAD_UNCHANGED)
    assert set(np.unique(ids)) == {1, 255}


@pytest.mark.parametrize('words', [[], ['nowhere', '-o', 'x']])
def test_errors_are_one_line(words, monkeypatch, capsys):
    monkeypatch.setattr(sys, 'argv', ['gather.py', *words])
    assert gather.main() == 1
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
