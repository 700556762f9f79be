package tokens

import (
	"bytes"
	"encoding/base64"
	"encoding/binary"
	"image"
	_ "image/gif" // sizes of the formats that providers take
	_ "image/jpeg"
	"io"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
)

// The sizes of OpenAI's high detail, and what LiteLLM assumes of a picture that it cannot see.
const (
	longSide, shortSide, tileSide = 2000, 768, 512
	unknownSide                   = 300
)

// picture counts an image_url. Only the size of a data URL is known: nothing is fetched to be counted.
func picture(v jsondoc.Value) int {
	if !v.Get("detail").Is("high") {
		return baseImage
	}
	width, height := unknownSide, unknownSide
	if _, data, ok := strings.Cut(v.Get("url").Text(), ";base64,"); ok {
		if w, h, ok := size(data); ok && w > 0 && h > 0 {
			width, height = w, h
		}
	}
	width, height = fit(width, height)
	tiles := ((width + tileSide - 1) / tileSide) * ((height + tileSide - 1) / tileSide)
	return baseImage + 2*baseImage*tiles
}

// fit shrinks a picture as OpenAI does before it is cut into tiles.
func fit(width, height int) (int, int) {
	if width <= shortSide && height <= shortSide {
		return width, height
	}
	ratio := float64(max(width, height)) / float64(min(width, height))
	short, long := shortSide, int(shortSide*ratio)
	if width <= height {
		if long > longSide {
			long, short = longSide, int(float64(longSide)/ratio)
		}
		return short, long
	}
	if long > longSide {
		long, short = longSide, int(float64(longSide)/ratio)
	}
	return long, short
}

// size reads a picture's size from its head.
func size(data string) (width, height int, ok bool) {
	const enough = 256 << 10 // a JPEG may have a preview before its size
	head, err := io.ReadAll(io.LimitReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(data)), enough))
	if len(head) == 0 && err != nil {
		return 0, 0, false
	}
	if w, h, is := webP(head); is {
		return w, h, true
	}
	if len(head) >= 24 && string(head[:8]) == "\x89PNG\r\n\x1a\n" {
		return int(binary.BigEndian.Uint32(head[16:])), int(binary.BigEndian.Uint32(head[20:])), true
	}
	c, _, err := image.DecodeConfig(bytes.NewReader(head))
	return c.Width, c.Height, err == nil
}

// webP reads the size from the head of a WebP file.
//
// https://developers.google.com/speed/webp/docs/riff_container
func webP(b []byte) (width, height int, is bool) {
	if len(b) < 30 || string(b[:4]) != "RIFF" || string(b[8:12]) != "WEBP" {
		return 0, 0, false
	}
	le := binary.LittleEndian
	switch string(b[12:16]) {
	case "VP8X":
		return 1 + int(le.Uint32(b[24:])&0xffffff), 1 + int(le.Uint32(b[26:])>>8), true
	case "VP8 ":
		return int(le.Uint16(b[26:]) & 0x3fff), int(le.Uint16(b[28:]) & 0x3fff), true
	case "VP8L":
		bits := le.Uint32(b[21:])
		return 1 + int(bits&0x3fff), 1 + int(bits>>14&0x3fff), true
	}
	return 0, 0, true
}
