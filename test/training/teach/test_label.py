"""A folder of pictures labelled by a teacher: what is written, and by which rule."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as ops

from seg_node.errors import ModelError
from seg_node_training.teach import cli
from seg_node_training.teach.teacher import Teacher, open_teacher

SIDECAR = """\
name: brightness
classes:
  - {name: background, colour: [0, 0, 0]}
  - {name: road, colour: [128, 64, 128]}
  - {name: curb, colour: [196, 196, 196]}
  - {name: marking, colour: [157, 234, 50]}
head: softmax
colour_order: bgr
scale: 1
"""


@pytest.fixture
def teacher_ir(tmp_path) -> Path:
    """An IR whose logits are the blue, green and red of the picture, and 0 for the background."""
    image = ops.parameter([1, 3, 16, 32], np.float32, 'image')
    weight = np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]], np.float32).reshape(4, 3, 1, 1)
    logits = ops.convolution(image, ops.constant(weight), [1, 1], [0, 0], [0, 0], [1, 1])
    path = tmp_path / 'brightness.xml'
    ov.save_model(ov.Model([logits], [image]), path, compress_to_fp16=False)
    path.with_name('brightness.xml.yaml').write_text(SIDECAR)
    return path


@pytest.fixture
def pictures(tmp_path) -> Path:
    """One picture: blue on the left (road), red on the right (mark), a strip of green (curb)."""
    picture = np.zeros((32, 64, 3), np.uint8)
    picture[:, :28], picture[:, 28:36], picture[:, 36:] = (200, 0, 0), (0, 200, 0), (0, 0, 200)
    (tmp_path / 'drive/images').mkdir(parents=True)
    cv2.imwrite(str(tmp_path / 'drive/images/a.png'), picture)
    return tmp_path / 'drive'


def test_a_folder_gets_soft_answers_of_an_openvino_ir(teacher_ir, pictures, monkeypatch):
    monkeypatch.setattr(sys, 'argv', ['label.py', str(pictures), '--teacher', str(teacher_ir)])
    assert cli.main() == 0
    road, mark = (
        cv2.imread(str(pictures / kind / 'a.png'), cv2.IMREAD_UNCHANGED)
        for kind in ('teacher2_road', 'teacher2_mark')
    )
    assert road.shape == mark.shape == (32, 64)
    assert np.all(road[:, :24] == 255)
    assert np.all(road[:, 40:] == 255)  # paint lies on road
    assert np.all(road[:, 30:34] == 0)  # a kerb does not
    assert np.all(mark[:, 40:] == 255)
    assert np.all(mark[:, :24] == 0)


def test_the_answer_is_the_mean_over_the_mirror_image():
    left = np.zeros((4, 8), np.uint8)
    left[:, :4] = 200
    teacher = Teacher('left', lambda _: [left], ('road',), exclusive=False)
    answer = teacher(np.zeros((4, 8, 3), np.uint8))
    assert np.all(answer[0] == 100)
    assert np.all(answer[1] == 0)


def test_loose_pictures_need_a_place(teacher_ir, pictures, tmp_path, monkeypatch, capsys):
    words = ['label.py', str(pictures / 'images'), '--teacher', str(teacher_ir)]
    monkeypatch.setattr(sys, 'argv', words)
    assert cli.main() == 1
    assert 'give -o OUT' in capsys.readouterr().err
    monkeypatch.setattr(sys, 'argv', [*words, '-o', str(tmp_path / 'set')])
    assert cli.main() == 0
    assert (tmp_path / 'set/images/a.png').is_file()
    assert (tmp_path / 'set/teacher2_mark/a.png').is_file()


def test_an_ir_without_description_is_told_so(teacher_ir):
    teacher_ir.with_name('brightness.xml.yaml').unlink()
    with pytest.raises(ModelError, match=r'expected its description in .*brightness\.xml\.yaml'):
        open_teacher(teacher_ir)
