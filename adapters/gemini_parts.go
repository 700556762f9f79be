package adapters

import (
	"encoding/base64"
	"path"
	"strings"

	"github.com/sluicegw/sluice/adapters/jsondoc"
	"github.com/sluicegw/sluice/internal/apierror"
)

// filesAPI begins the URIs of files that were uploaded to Google, which nobody else can read.
//
// https://ai.google.dev/gemini-api/docs/files
const filesAPI = "https://generativelanguage.googleapis.com/v1beta/files/"

// userPart writes a part of a user's message.
//
// https://ai.google.dev/api/caching#Part
func (w *geminiWriter) userPart(at place, part jsondoc.Value) *apierror.Error {
	switch part.Get("type").Text() {
	case "text", "input_text":
		text := part.Get("text")
		if !text.IsString() {
			return at.wrong(".text", "must be a string")
		}
		if text != `""` {
			w.textPart(text)
		}
		return nil
	case "image_url":
		return w.media(at, ".image_url", part.Get("image_url"), "")
	case "input_audio":
		return w.audio(at, part.Get("input_audio"))
	case "file":
		return w.file(at, part.Get("file"))
	}
	return at.wrong(".type", "is no content part that Gemini takes")
}

// audio writes an input_audio part: base64 and the name of its format.
func (w *geminiWriter) audio(at place, v jsondoc.Value) *apierror.Error {
	data, format := v.Get("data"), v.Get("format").Text()
	if !data.IsString() || format == "" {
		return at.wrong(".input_audio", "needs data and format")
	}
	inner := data.Inner()
	if strings.IndexByte(inner, '\\') >= 0 {
		inner = data.Text()
	}
	if !isBase64(inner) || inner == "" {
		return at.wrong(".input_audio.data", "must be in base64")
	}
	if !strings.HasPrefix(format, "audio/") {
		format = "audio/" + format
	}
	w.inline(format, inner)
	w.dst = append(w.dst, '}')
	return nil
}

// file writes a file part: bytes, a URL, or the URI of a file that lies with Google.
func (w *geminiWriter) file(at place, f jsondoc.Value) *apierror.Error {
	if !f.IsObject() {
		return at.missing(".file")
	}
	field, v := ".file.file_id", f.Get("file_id")
	if !v.IsString() || v == `""` {
		field, v = ".file.file_data", f.Get("file_data")
	}
	if !v.IsString() || v == `""` {
		return at.wrong(".file", "needs file_data or file_id")
	}
	return w.source(at, field, v, formatOf(f), f.Get("detail").Text(), f.Get("video_metadata"))
}

// media writes an image_url part: a data URL's bytes, or the URL.
func (w *geminiWriter) media(at place, field string, v, video jsondoc.Value) *apierror.Error {
	format, detail := "", ""
	if v.IsObject() {
		format, detail = formatOf(v), v.Get("detail").Text()
		field, v = field+".url", v.Get("url")
	}
	if !v.IsString() {
		return at.wrong(field, "must be a string")
	}
	return w.source(at, field, v, format, detail, video)
}

// formatOf is the media type that a client tells for a file.
func formatOf(v jsondoc.Value) string {
	for _, name := range [...]string{"format", "mime_type", "content_type"} {
		if s := v.Get(name).Text(); s != "" {
			return s
		}
	}
	return ""
}

// source writes a part whose content is a data URL, a URL on the web, or a URI of Google's.
func (w *geminiWriter) source(at place, field string, url jsondoc.Value, format, detail string, video jsondoc.Value) *apierror.Error {
	inner := url.Inner()
	if strings.IndexByte(inner, '\\') >= 0 {
		inner = url.Text() // some encoders write \/ for a slash
	}
	switch {
	case strings.HasPrefix(inner, "gs://"):
		if format == "" {
			if format = bucketTypes[strings.ToLower(strings.TrimPrefix(path.Ext(inner), "."))]; format == "" {
				return at.wrong(field, "does not tell a type of file that Gemini takes: name it in format, such as image/png")
			}
		} else if format == "image/jpg" {
			format = "image/jpeg"
		}
		w.reference(inner, format)
	case strings.HasPrefix(inner, filesAPI):
		w.reference(inner, format)
	case isWeb(inner):
		if err := w.web(inner, format); err != nil {
			return err
		}
	default:
		media, data, ok := cutDataURL(inner)
		if !ok {
			return at.wrong(field, "must be an http(s), gs:// or data URL such as data:image/png;base64,…")
		}
		if format != "" {
			media = format
		}
		w.inline(media, data)
	}
	w.finish(detail, video)
	return nil
}

// web writes a part for a file on the web. Vertex reads it there if its type is known; the API of Gemini's own
// takes bytes alone.
func (w *geminiWriter) web(url, format string) *apierror.Error {
	if w.a.vertex && strings.HasPrefix(url, "https:") {
		if format == "" {
			format = typeOfURL(url)
		}
		if format != "" {
			w.reference(url, format)
			return nil
		}
	}
	media, data, err := w.a.fetched(url)
	if err != nil {
		return err
	}
	if format != "" {
		media = format
	}
	w.part()
	w.dst = apierror.AppendString(append(w.dst, `{"inline_data":{"mime_type":`...), media)
	w.dst = base64.StdEncoding.AppendEncode(append(w.dst, `,"data":"`...), data)
	w.dst = append(w.dst, `"}`...)
	return nil
}

// inline begins a part with base64 that holds nothing a JSON string would escape.
func (w *geminiWriter) inline(media, data string) {
	w.part()
	w.dst = apierror.AppendString(append(w.dst, `{"inline_data":{"mime_type":`...), media)
	w.dst = append(append(append(w.dst, `,"data":"`...), data...), `"}`...)
}

// reference begins a part that names a file.
func (w *geminiWriter) reference(uri, media string) {
	w.part()
	w.dst = append(w.dst, `{"file_data":{`...)
	if media != "" {
		w.dst = append(apierror.AppendString(append(w.dst, `"mime_type":`...), media), ',')
	}
	w.dst = append(apierror.AppendString(append(w.dst, `"file_uri":`...), uri), '}')
}

// resolutions are OpenAI's details in Google's words, the lowest first.
var resolutions = [...]struct{ detail, level string }{
	{"low", "MEDIA_RESOLUTION_LOW"}, {"medium", "MEDIA_RESOLUTION_MEDIUM"},
	{"high", "MEDIA_RESOLUTION_HIGH"}, {"ultra_high", "MEDIA_RESOLUTION_ULTRA_HIGH"},
}

// finish ends a part of media with how closely it is to be looked at: Gemini 3 can be told for each part,
// Gemini 2 for the whole request.
func (w *geminiWriter) finish(detail string, video jsondoc.Value) {
	for i, r := range resolutions {
		if r.detail != detail {
			continue
		}
		if i+1 > w.best {
			w.best, w.resolution = i+1, r.level
		}
		if w.a.m.three {
			w.dst = append(append(append(w.dst, `,"media_resolution":{"level":"`...), r.level...), `"}`...)
		}
	}
	if video.IsObject() {
		before := len(w.dst)
		w.dst = append(w.dst, `,"video_metadata":{`...)
		start := len(w.dst)
		for k, v := range video.Members() {
			name := k.Text()
			switch name {
			case "start_offset":
				name = "startOffset"
			case "end_offset":
				name = "endOffset"
			case "fps":
			default:
				continue
			}
			if len(w.dst) > start {
				w.dst = append(w.dst, ',')
			}
			w.dst = append(apierror.AppendString(w.dst, name), ':')
			w.dst = append(w.dst, v...)
		}
		if len(w.dst) == start {
			w.dst = w.dst[:before]
		} else {
			w.dst = append(w.dst, '}')
		}
	}
	w.dst = append(w.dst, '}')
}

// bucketTypes are the types of files in Google's storage that Gemini takes, by the ends of their names.
//
// https://cloud.google.com/vertex-ai/generative-ai/docs/model-reference/inference#blob
var bucketTypes = map[string]string{
	"png": "image/png", "jpeg": "image/jpeg", "jpg": "image/jpeg", "webp": "image/webp",
	"aac": "audio/aac", "flac": "audio/flac", "mp3": "audio/mpeg", "mpa": "audio/m4a", "mpga": "audio/mpga",
	"opus": "audio/opus", "pcm": "audio/pcm", "wav": "audio/wav", "webm": "video/webm", "flv": "video/x-flv",
	"mov": "video/quicktime", "mpeg": "video/mpeg", "mpegps": "video/mpegps", "mpg": "video/mpg", "mp4": "video/mp4",
	"wmv": "video/wmv", "3gpp": "video/3gpp", "pdf": "application/pdf", "txt": "text/plain",
}

// typeOfURL is the media type of a file on the web by the end of its name, "" if that does not tell.
func typeOfURL(url string) string {
	end, _, _ := strings.Cut(url, "#")
	end, _, _ = strings.Cut(end, "?")
	switch strings.ToLower(path.Ext(end)) {
	case ".jpg", ".jpeg":
		return "image/jpeg"
	case ".png":
		return "image/png"
	case ".webp":
		return "image/webp"
	case ".mp4":
		return "video/mp4"
	case ".mov":
		return "video/mov"
	case ".mpeg", ".mpg":
		return "video/mpeg"
	case ".avi":
		return "video/avi"
	case ".wmv":
		return "video/wmv"
	case ".mpegps":
		return "video/mpegps"
	case ".flv":
		return "video/flv"
	case ".mp3":
		return "audio/mp3"
	case ".wav":
		return "audio/wav"
	case ".ogg":
		return "audio/ogg"
	case ".pdf":
		return "application/pdf"
	case ".txt":
		return "text/plain"
	}
	return ""
}
