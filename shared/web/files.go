package web

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"unicode/utf8"

	"github.com/cachito-serverless/cachito/shared/blob"
	"github.com/cachito-serverless/cachito/shared/request"
)

const (
	// maxShownFiles is how many configuration files a page shows with what is in them.
	maxShownFiles = 50
	// maxShownBytes is how much of a configuration file's content a page shows.
	maxShownBytes = 16 << 10
	// maxFileBytes bounds a configuration file that is downloaded: Lambda's answers are limited to 6 MB.
	maxFileBytes = 4 << 20
)

type fileBody struct {
	Files []configFile
	// More is how many files are not listed.
	More int
}

// configFile is a configuration file with the beginning of its content.
type configFile struct {
	Number int // from 1
	Path   string
	Text   string
	// Cut: Text is not all; Binary: the content is no text and not shown; Odd: it is not base64.
	Cut, Binary, Odd bool
	Large            bool
}

// files serves the configuration files of a request.
func (p *Pages) files(r *http.Request, req request.Request) (any, error) {
	list, err := p.Store.ConfigFiles(r.Context(), req.ID)
	if err != nil {
		return nil, err
	}
	var body fileBody
	if len(list) > maxShownFiles {
		list, body.More = list[:maxShownFiles], len(list)-maxShownFiles
	}
	for i, f := range list {
		shown, err := p.readFile(r, f)
		if err != nil {
			return nil, err
		}
		shown.Number, shown.Path = i+1, f.Path
		body.Files = append(body.Files, shown)
	}
	return body, nil
}

func (p *Pages) readFile(r *http.Request, f request.ConfigFile) (configFile, error) {
	o, err := p.Blobs.Open(r.Context(), f.Key)
	if err != nil {
		return configFile{}, fmt.Errorf("configuration file %s: %w", f.Path, err)
	}
	defer o.Close()
	content, err := io.ReadAll(io.LimitReader(base64.NewDecoder(base64.StdEncoding, o), maxShownBytes+1))
	var corrupt base64.CorruptInputError
	if errors.As(err, &corrupt) || errors.Is(err, io.ErrUnexpectedEOF) {
		return configFile{Odd: true}, nil
	}
	if err != nil {
		return configFile{}, fmt.Errorf("configuration file %s: %w", f.Path, err)
	}
	out := configFile{Cut: len(content) > maxShownBytes, Large: o.Info().Size > base64Length(maxFileBytes)}
	if out.Cut {
		content = content[:maxShownBytes]
		for i := 0; i < utf8.UTFMax && !utf8.Valid(content); i++ { // not half a character
			content = content[:len(content)-1]
		}
	}
	if out.Binary = !utf8.Valid(content) || bytes.IndexByte(content, 0) >= 0; !out.Binary {
		out.Text = visibleLines(string(content))
	}
	return out, nil
}

func base64Length(n int64) int64 { return int64(base64.StdEncoding.EncodedLen(int(n))) }

// file serves the content of one configuration file, to be saved and never to be shown: it comes from a
// repository.
func (p *Pages) file(w http.ResponseWriter, r *http.Request, id int64) {
	content, name, err := p.fileContent(r, id)
	if err != nil {
		p.render(w, r, p.failure(r, err))
		return
	}
	h := w.Header()
	secure(h, "default-src 'none'; sandbox")
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Content-Disposition", `attachment; filename="`+fileName(name)+`"`)
	h.Set("Cache-Control", "no-cache")
	send(w, r, http.StatusOK, content)
}

func (p *Pages) fileContent(r *http.Request, id int64) (content []byte, name string, err error) {
	list, err := p.Store.ConfigFiles(r.Context(), id)
	if err != nil {
		return nil, "", err
	}
	n, err := strconv.Atoi(r.URL.Query().Get("n"))
	if err != nil || n < 1 || n > len(list) {
		return nil, "", &problem{http.StatusNotFound, "The request has no such configuration file."}
	}
	f := list[n-1]
	text, err := p.Blobs.Get(r.Context(), f.Key, base64Length(maxFileBytes))
	if err != nil && !errors.Is(err, blob.ErrNotFound) {
		if info, statErr := p.Blobs.Stat(r.Context(), f.Key); statErr == nil && info.Size > base64Length(maxFileBytes) {
			return nil, "", &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("The file is larger than %s: ask the API for it.", humanBytes(maxFileBytes))}
		}
	}
	if err != nil {
		return nil, "", fmt.Errorf("configuration file %s of request %d: %w", f.Path, id, err)
	}
	if content, err = base64.StdEncoding.DecodeString(string(text)); err != nil {
		return nil, "", &problem{http.StatusUnprocessableEntity, "The file is not base64, as configuration files are: ask the API for it as it is."}
	}
	return content, f.Path, nil
}
