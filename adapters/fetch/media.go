package fetch

import (
	"mime"
	"net/http"
	"path"
	"strings"
)

// mediaType tells what a file is: by its first bytes, which cannot lie, else by what the server says, else by
// its name, as LiteLLM does. Empty: nothing that a model takes.
func mediaType(header, name string, data []byte) string {
	if sniffed := sniff(data); sniffed != "" {
		return sniffed
	}
	said, _, err := mime.ParseMediaType(header)
	if err != nil {
		said = ""
	}
	if said == "image/jpg" {
		said = "image/jpeg"
	}
	if said == "" || said == "application/octet-stream" || said == "binary/octet-stream" {
		said = byName[strings.ToLower(strings.TrimPrefix(path.Ext(name), "."))]
	}
	if !allowedType(said) {
		return ""
	}
	return said
}

// sniff knows the files that tell what they are.
func sniff(data []byte) string {
	if len(data) >= 12 && string(data[4:8]) == "ftyp" {
		switch string(data[8:12]) {
		case "heic", "heix", "heim", "heis":
			return "image/heic"
		case "mif1", "msf1":
			return "image/heif"
		case "avif", "avis":
			return "image/avif"
		}
		return "" // a container: the server knows whether it is sound or pictures
	}
	switch found, _, _ := strings.Cut(http.DetectContentType(data), ";"); found {
	case "image/png", "image/jpeg", "image/gif", "image/webp", "image/bmp", "application/pdf":
		return found
	}
	return ""
}

func allowedType(media string) bool {
	family, _, _ := strings.Cut(media, "/")
	switch family {
	case "image", "audio", "video", "text":
		return true
	}
	return documents[media]
}

var documents = map[string]bool{
	"application/pdf": true, "application/rtf": true, "application/json": true, "application/msword": true, "application/vnd.ms-excel": true,
	"application/vnd.openxmlformats-officedocument.wordprocessingml.document": true,
	"application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":       true,
}

// byName are the types of files whose servers do not say them.
var byName = map[string]string{
	"jpg": "image/jpeg", "jpeg": "image/jpeg", "png": "image/png", "gif": "image/gif", "webp": "image/webp",
	"heic": "image/heic", "heif": "image/heif", "avif": "image/avif",
	"pdf": "application/pdf", "csv": "text/csv", "html": "text/html", "txt": "text/plain", "md": "text/markdown",
	"doc":  "application/msword",
	"docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
	"xls":  "application/vnd.ms-excel",
	"xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
	"mp3":  "audio/mpeg", "wav": "audio/wav", "ogg": "audio/ogg", "flac": "audio/flac", "m4a": "audio/mp4",
	"aac": "audio/aac", "mp4": "video/mp4", "webm": "video/webm", "mov": "video/quicktime", "mpeg": "video/mpeg",
}
