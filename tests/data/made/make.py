"""Writes the pictures of this folder: python3 make.py, with Pillow installed."""

from PIL import Image

picture = Image.new("RGB", (7, 5), (200, 30, 60))
for name in ["plain.png", "plain.gif", "plain.webp", "plain.bmp", "plain.jpg"]:
    picture.save(name)

exif = Image.Exif()
exif[0x0112] = 6  # orientation: the top of the picture is on the right
picture.save("rotated.jpg", exif=exif)
