"""make_pdf.py OUT KIND - small PDF files for test_documents.sh, written from the file format itself.

text: two pages of lines. blank: a page without text. bomb: a page whose stream unpacks to 100 MB.
columns: a page of two columns. slow: minutes for pdftotext, pages that share one of 20,000 words.
"""
import sys
import zlib

PAGES = [
    ["The harbour book, page one", "From the wall we saw that the lamp was out at", "a quarter to nine and the glass broken."],
    ["Page two begins here", "The clerk tried four times, then closed."],
]


COLUMNS = [
    ["The officer on the fishing", "boat found the flag afloat", "beside the light and dry", "enough to be hoisted once",
     "more by the old watchman", "of the harbour that night."],
    ["The harbour master wrote", "that the lamp was out at", "a quarter to nine and asked", "for a gas lamp before the",
     "spring of the next year,", "and the Board agreed so."],
]


def rows(lines, leading=16):
    return "".join(f"({line}) Tj 0 -{leading} Td " for line in lines)


def content(kind):
    if kind == "blank":
        return [b"0 0 m 100 100 l S"]
    if kind == "bomb":
        return [b"BT /F1 12 Tf 72 720 Td (a) Tj ET\n" + b" " * (100 << 20)]
    if kind == "columns":
        left, right = (rows(lines, 11) for lines in COLUMNS)
        return [f"BT /F1 10 Tf 60 720 Td {left}ET BT /F1 10 Tf 320 720 Td {right}ET".encode()]
    if kind == "slow":
        words = "".join(f"1 0 0 1 {i * 389 % 600} {i * 577 % 790} Tm (w{i}) Tj " for i in range(20000))
        return [f"BT /F1 4 Tf {words}ET".encode()] * 500
    return [f"BT /F1 12 Tf 72 720 Td {rows(lines)}ET".encode() for lines in PAGES]


def main(path, kind):
    pages = content(kind)
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", None, b"<< /Type /Font /Subtype /Type1 /BaseFont /Courier >>"]
    kids, streams = [], {}
    for page in pages:
        if page not in streams:
            data = zlib.compress(page, 9)
            objects.append(b"<< /Length %d /Filter /FlateDecode >>\nstream\n%s\nendstream" % (len(data), data))
            streams[page] = len(objects)
        objects.append(b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents %d 0 R"
                       b" /Resources << /Font << /F1 3 0 R >> >> >>" % streams[page])
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Kids [%s] /Count %d >>" % (b" ".join(kids), len(kids))
    out, places = b"%PDF-1.4\n", []
    for i, body in enumerate(objects):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (i + 1, body)
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % at for at in places)
    out += b"trailer << /Size %d /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, start)
    with open(path, "wb") as f:
        f.write(out)


main(sys.argv[1], sys.argv[2])
