/* rect.h - a rectangle of cells; x to the right, y down, from 0. */
#ifndef CORE_RECT_H
#define CORE_RECT_H

struct rect {
    int x, y, w, h;
};

#endif
