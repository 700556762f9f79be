package adapters

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// mediaBlock is an image, document or video of a message.
//
// https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_ContentBlock.html
type mediaBlock struct {
	kind   string // image, document or video
	format string // in Converse's words
	name   string // of a document
	data   string // base64
}

func (b *mediaBlock) append(dst []byte) []byte {
	dst = append(append(append(dst, `{"`...), b.kind...), `":{`...)
	if b.name != "" {
		dst = append(append(append(dst, `"name":"`...), b.name...), `",`...)
	}
	dst = append(append(append(dst, `"format":"`...), b.format...), `","source":{"bytes":"`...)
	return append(append(dst, b.data...), `"}}}`...)
}

// documentFormats are Converse's words for the media types of documents.
var documentFormats = map[string]string{
	"application/pdf": "pdf", "text/csv": "csv", "application/csv": "csv", "application/msword": "doc",
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": "docx",
	"application/vnd.ms-excel": "xls",
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": "xlsx",
	"text/html": "html", "text/plain": "txt", "text/markdown": "md",
}

var (
	imageFormats = []string{"png", "jpeg", "gif", "webp"}
	videoFormats = []string{"mkv", "mov", "mp4", "webm", "flv", "mpeg", "mpg", "wmv", "three_gp"}
	// otherWords are what media types call formats that Converse knows by other names.
	otherWords = map[string]string{
		"jpg": "jpeg", "quicktime": "mov", "x-matroska": "mkv", "x-flv": "flv", "x-ms-wmv": "wmv", "3gpp": "three_gp", "3gp": "three_gp",
	}
)

// media makes a block of a content part: a data URL, a URL, or Anthropic's base64 source. Bedrock takes bytes only,
// so what is on the web is fetched.
func (a *converseCall) media(at place, kind string, part jsondoc.Value) (mediaBlock, *apierror.Error) {
	if kind == "document" || kind == "image" {
		source := part.Get("source")
		if !source.Get("type").Is("base64") || !isBase64(source.Get("data").Inner()) {
			return mediaBlock{}, at.wrong(".source", "must hold base64 data: bedrock takes no other sources")
		}
		return newMedia(at, ".source.media_type", source.Get("media_type").Text(), source.Get("data").Inner(), "Document_")
	}
	field, url, format := "."+kind+".url", part.Get(kind).Get("url"), part.Get(kind).Get("format").Text()
	switch {
	case kind == "file":
		field, url = ".file.file_id", part.At("file", "file_id")
		if url == "" {
			field, url = ".file.file_data", part.At("file", "file_data")
		}
	case part.Get(kind).IsString():
		field, url = "."+kind, part.Get(kind)
	}
	if !url.IsString() {
		return mediaBlock{}, at.missing(field)
	}
	text := url.Text()
	if isWeb(text) {
		media, data, err := a.fetched(text)
		if err != nil {
			return mediaBlock{}, err
		}
		return newMedia(at, field, firstOf(format, media), base64.StdEncoding.EncodeToString(data), "DocumentPDFmessages_")
	}
	media, data, ok := cutDataURL(text)
	if !ok {
		return mediaBlock{}, at.wrong(field, "must be an http(s) URL or a data URL such as data:image/png;base64,…")
	}
	return newMedia(at, field, firstOf(format, media), data, "DocumentPDFmessages_")
}

func newMedia(at place, field, media, data, prefix string) (mediaBlock, *apierror.Error) {
	media = strings.ToLower(media)
	group, sub, _ := strings.Cut(media, "/")
	if other := otherWords[sub]; other != "" {
		sub = other
	}
	switch {
	case group == "application" || group == "text":
		format := documentFormats[media]
		if format == "" {
			return mediaBlock{}, at.wrong(field, "is a document of a kind that bedrock does not take; it takes pdf, csv, doc, docx, xls, xlsx, html, txt and md")
		}
		return mediaBlock{kind: "document", format: format, name: prefix + documentHash(data) + "_" + format, data: data}, nil
	case slices.Contains(imageFormats, sub):
		return mediaBlock{kind: "image", format: sub, data: data}, nil
	case slices.Contains(videoFormats, sub):
		return mediaBlock{kind: "video", format: sub, data: data}, nil
	}
	return mediaBlock{}, at.wrong(field, "is of a kind that bedrock does not take; it takes images as png, jpeg, gif and webp")
}

// documentHash names a document by its first 64 KiB and its length, so that a prompt which is cached stays the same.
func documentHash(data string) string {
	h := sha256.New()
	h.Write([]byte(data[:min(len(data), 64<<10)]))
	h.Write([]byte(strconv.Itoa(len(data))))
	return hex.EncodeToString(h.Sum(nil))[:16]
}
