package adapters

import (
	"encoding/base64"
	"strings"
	"unicode/utf8"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// parts writes the parts of a user's or a tool's message as content blocks.
//
// https://docs.anthropic.com/en/docs/build-with-claude/vision
func (w *conversation) parts(i int, list jsondoc.Value) *apierror.Error {
	j := 0
	for part := range list.Elements() {
		at := place{i, "content", j}
		j++
		var err *apierror.Error
		mark := part.Get("cache_control")
		switch kind := part.Get("type").Text(); {
		case part.IsString():
			w.text(part, "")
		case kind == "text" || kind == "input_text":
			text := part.Get("text")
			if !text.IsString() {
				return at.wrong(".text", "must be a string")
			}
			w.text(text, mark)
		case kind == "image_url":
			err = w.image(at, part, mark)
		case kind == "file":
			err = w.file(at, part.Get("file"), mark)
		case kind == "document" || kind == "search_result" || kind == "image" || kind == "tool_reference" || kind == "container_upload":
			// Anthropic's own blocks, from clients that know whom they talk to.
			w.block()
			w.dst = append(w.dst, part...)
		default:
			err = at.wrong(".type", "is no content part that anthropic takes")
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// image writes an image_url part: a data URL's bytes, or the URL.
func (w *conversation) image(at place, part, mark jsondoc.Value) *apierror.Error {
	field, v := ".image_url", part.Get("image_url")
	format := v.Get("format")
	if v.IsObject() {
		field, v = ".image_url.url", v.Get("url")
	}
	if !v.IsString() {
		return at.wrong(field, "must be a string")
	}
	return w.source(at, field, v, format.Text(), "image", mark)
}

// file writes a file part: bytes, a URL, or the id of a file that lies with Anthropic.
func (w *conversation) file(at place, f, mark jsondoc.Value) *apierror.Error {
	if !f.IsObject() {
		return at.missing(".file")
	}
	format := f.Get("format").Text()
	if data := f.Get("file_data"); data.IsString() {
		return w.source(at, ".file.file_data", data, format, "document", mark)
	}
	id := f.Get("file_id")
	if !id.IsString() || id == `""` {
		return at.wrong(".file", "needs file_data or file_id")
	}
	if isWeb(id.Inner()) {
		return w.source(at, ".file.file_id", id, format, "document", mark)
	}
	kind := "document"
	if strings.HasPrefix(format, "image/") {
		kind = "image"
	}
	w.block()
	w.dst = append(w.dst, `{"type":"`+kind+`","source":{"type":"file","file_id":`...)
	w.dst = append(append(w.dst, id...), '}')
	w.close(mark)
	return nil
}

// source writes an image or document block whose content is a data URL or a URL on the web.
func (w *conversation) source(at place, field string, url jsondoc.Value, format, kind string, mark jsondoc.Value) *apierror.Error {
	inner := url.Inner()
	if isWeb(inner) {
		if kind == "image" && (w.a.t.p.quirks.bytesOnly || strings.HasPrefix(inner, "http:")) {
			return w.fetchedImage(url, format, mark)
		}
		w.block()
		w.dst = append(w.dst, `{"type":"`+kind+`","source":{"type":"url","url":`...)
		w.dst = append(append(w.dst, url...), '}')
		w.close(mark)
		return nil
	}
	if strings.IndexByte(inner, '\\') >= 0 {
		inner = url.Text() // some encoders write \/ for the slashes in base64
	}
	media, data, ok := cutDataURL(inner)
	if !ok {
		return at.wrong(field, "must be an http(s) URL or a data URL such as data:image/png;base64,…")
	}
	if format != "" {
		media = format
	}
	switch {
	case media == "image/jpg":
		media = "image/jpeg"
	case media == "application/pdf":
		kind = "document"
	case strings.HasPrefix(media, "image/"):
		kind = "image"
	case strings.HasPrefix(media, "text/"):
		return w.plainText(at, field, data, mark)
	}
	w.block()
	w.dst = append(w.dst, `{"type":"`+kind+`","source":{"type":"base64","media_type":`...)
	w.dst = apierror.AppendString(w.dst, media)
	w.dst = append(append(append(w.dst, `,"data":"`...), data...), `"}`...)
	w.close(mark)
	return nil
}

// fetchedImage writes an image that Anthropic cannot fetch itself: it takes https URLs, and on other
// providers' hosts none at all.
func (w *conversation) fetchedImage(url jsondoc.Value, format string, mark jsondoc.Value) *apierror.Error {
	media, data, err := w.a.fetched(url.Text())
	if err != nil {
		return err
	}
	if format != "" {
		media = format
	}
	w.block()
	w.dst = append(w.dst, `{"type":"image","source":{"type":"base64","media_type":`...)
	w.dst = apierror.AppendString(w.dst, media)
	w.dst = base64.StdEncoding.AppendEncode(append(w.dst, `,"data":"`...), data)
	w.dst = append(w.dst, `"}`...)
	w.close(mark)
	return nil
}

// plainText writes a text file, which Anthropic takes as text only.
func (w *conversation) plainText(at place, field, data string, mark jsondoc.Value) *apierror.Error {
	text, err := base64.StdEncoding.DecodeString(data)
	if err != nil || !utf8.Valid(text) {
		return at.wrong(field, "is not UTF-8 text in base64")
	}
	w.block()
	w.dst = append(w.dst, `{"type":"document","source":{"type":"text","media_type":"text/plain","data":`...)
	w.dst = append(apierror.AppendString(w.dst, string(text)), '}')
	w.close(mark)
	return nil
}

func isWeb(url string) bool {
	return strings.HasPrefix(url, "https:") || strings.HasPrefix(url, "http:")
}

// cutDataURL takes data:TYPE;base64,DATA apart. data holds nothing that a JSON string would escape.
func cutDataURL(url string) (media, data string, ok bool) {
	rest, ok := strings.CutPrefix(url, "data:")
	if !ok {
		return "", "", false
	}
	head, data, ok := strings.Cut(rest, ",")
	if !ok || len(head) > 256 {
		return "", "", false
	}
	head, ok = strings.CutSuffix(head, ";base64")
	if !ok || data == "" || !isBase64(data) {
		return "", "", false
	}
	media, _, _ = strings.Cut(head, ";")
	return strings.ToLower(media), data, media != ""
}

// isBase64 tells whether s is made of base64's characters. Images run to megabytes, so it uses a table.
func isBase64(s string) bool {
	for i := range len(s) {
		if !base64Bytes[s[i]] {
			return false
		}
	}
	return true
}

var base64Bytes = func() (t [256]bool) {
	for _, c := range "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=-_" {
		t[c] = true
	}
	return t
}()
