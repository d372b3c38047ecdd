package web

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/cachito-serverless/cachito/shared/store"
)

const (
	// maxFormBytes bounds what a form sends.
	maxFormBytes = 256 << 10
	// maxAnswerBytes bounds what is kept of the API's answer.
	maxAnswerBytes = 64 << 10
)

// form serves the empty form, or with ?from=ID one that is filled in as that request was.
func (p *Pages) form(r *http.Request, _ int64) (view, error) {
	f := p.emptyForm()
	if from := r.URL.Query().Get("from"); from != "" {
		id, err := strconv.ParseInt(from, 10, 64)
		if err != nil || id < 1 {
			return view{}, store.ErrNotFound
		}
		req, err := p.Store.Get(r.Context(), id)
		if err != nil {
			return view{}, err
		}
		if err := f.fill(req); err != nil {
			return view{}, fmt.Errorf("form like request %d: %w", id, err)
		}
	}
	return p.formView(f, r), nil
}

func (p *Pages) formView(f *orderForm, r *http.Request) view {
	f.Base = p.Base(r)
	return view{Template: "new.html", Section: "new", Title: "New request", Data: f}
}

// submit takes the form: it asks for another row, or sends the order to the API and shows what that says.
func (p *Pages) submit(w http.ResponseWriter, r *http.Request, _ int64) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFormBytes)
	if err := r.ParseForm(); err != nil {
		known := &problem{http.StatusBadRequest, "The form could not be read."}
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			known = &problem{http.StatusRequestEntityTooLarge, fmt.Sprintf("The form is larger than %s: send it to the API.", humanBytes(maxFormBytes))}
		}
		p.render(w, r, p.failure(r, known))
		return
	}
	f := p.emptyForm()
	f.read(r.PostForm)
	if more := r.PostForm.Get("more"); more != "" {
		f.add(more)
		p.render(w, r, p.formView(f, r))
		return
	}
	order, field, err := f.order()
	if err != nil {
		f.Errors[field] = err.Error()
		v := p.formView(f, r)
		v.Status = http.StatusBadRequest
		p.render(w, r, v)
		return
	}
	answer, err := p.send(r, order)
	if err != nil {
		p.render(w, r, p.failure(r, err))
		return
	}
	if told := answer.header.Values("WWW-Authenticate"); len(told) > 0 {
		w.Header()["Www-Authenticate"] = told // the browser answers it, or asks its user
	}
	if answer.status == http.StatusCreated {
		var created struct{ ID int64 }
		if err := json.Unmarshal(answer.body.Bytes(), &created); err != nil {
			p.render(w, r, p.failure(r, fmt.Errorf("the API's answer: %w", err)))
			return
		}
		secure(w.Header(), policy)
		w.Header().Set("Location", strconv.FormatInt(created.ID, 10)) // beside /requests/new
		w.WriteHeader(http.StatusSeeOther)
		return
	}
	text := answer.message()
	f.Errors[f.fieldOf(answer.status, text)] = text
	v := p.formView(f, r)
	v.Status = answer.status
	p.render(w, r, v)
}

// send hands an order to the API as a client would, with the identity of whoever sent the form.
func (p *Pages) send(r *http.Request, order any) (*recorder, error) {
	body, err := json.Marshal(order)
	if err != nil {
		return nil, fmt.Errorf("making the order: %w", err)
	}
	inner, err := http.NewRequestWithContext(r.Context(), http.MethodPost, "/api/v1/requests", bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("making the order: %w", err)
	}
	inner.URL = &url.URL{Path: "/api/v1/requests"}
	inner.Host, inner.RemoteAddr, inner.TLS = r.Host, r.RemoteAddr, r.TLS
	inner.Header = r.Header.Clone()
	inner.Header.Set("Content-Type", "application/json")
	inner.Header.Del("Content-Length")
	inner.Header.Del("Accept-Encoding")
	answer := &recorder{header: http.Header{}}
	p.API.ServeHTTP(answer, inner)
	return answer, nil
}

// recorder keeps an answer of the API, or its beginning.
type recorder struct {
	header http.Header
	status int
	body   bytes.Buffer
}

func (a *recorder) Header() http.Header { return a.header }

func (a *recorder) WriteHeader(status int) {
	if a.status == 0 {
		a.status = status
	}
}

func (a *recorder) Write(b []byte) (int, error) {
	a.WriteHeader(http.StatusOK)
	a.body.Write(b[:min(len(b), maxAnswerBytes-a.body.Len())])
	return len(b), nil
}

// message is what the API says is wrong.
func (a *recorder) message() string {
	var told struct {
		Error  string            `json:"error"`
		Errors map[string]string `json:"errors"`
	}
	if err := json.Unmarshal(a.body.Bytes(), &told); err != nil || told.Error == "" {
		return http.StatusText(a.status)
	}
	return strings.TrimSpace(told.Error)
}
