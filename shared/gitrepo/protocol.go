package gitrepo

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"

	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/format/pktline"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp"
	"github.com/go-git/go-git/v5/plumbing/protocol/packp/capability"
)

// The upload-pack protocol, version 0 (gitprotocol-pack(5)). Version 2 would spare the list of refs,
// but not every server has it, and tags need the list anyway.

// session is a conversation with a repository's upload-pack service.
type session interface {
	// refs is what the server advertised.
	refs() *packp.AdvRefs
	// fetch asks for a pack and returns its bytes. A remoteError is the server's refusal.
	fetch(ctx context.Context, want packRequest) (io.ReadCloser, error)
	close()
}

// packRequest says what to send.
type packRequest struct {
	wants []plumbing.Hash
	// haves are commits that are here, with everything their trees hold; shallows those of them
	// without their parents.
	haves, shallows []plumbing.Hash
	depth           int    // 0: all history
	filter          string // "tree:0", or empty
	tags            bool   // annotated tags of what is sent
}

// remoteError is a message of the server.
type remoteError struct{ message string }

func (e *remoteError) Error() string { return "the server says: " + e.message }

// notOurRef reports a refusal to serve a hash: unknown, or on none of the server's refs.
func notOurRef(err error) bool {
	var r *remoteError
	if !errors.As(err, &r) {
		return false
	}
	m := strings.ToLower(r.message)
	for _, text := range []string{"not our ref", "not valid", "unadvertised", "no such object", "unknown object", "not found", "missing"} {
		if strings.Contains(m, text) { // git, JGit ("want ... not valid"), Gerrit, others
			return true
		}
	}
	return false
}

// encode writes the request, with the capabilities that the server has and we want.
func (r packRequest) encode(caps *capability.List) ([]byte, error) {
	if !caps.Supports(capability.Sideband64k) {
		return nil, &remoteError{"it is too old: side-band-64k is missing"}
	}
	words := []string{"side-band-64k", "no-progress"}
	add := func(c capability.Capability) bool {
		if caps.Supports(c) {
			words = append(words, c.String())
			return true
		}
		return false
	}
	add(capability.OFSDelta)
	if len(r.haves) == 0 {
		add(capability.MultiACK) // some servers want it; without haves it changes nothing
	} else {
		add(capability.ThinPack) // differences to what we have
	}
	if r.tags {
		add(capability.IncludeTag)
	}
	if (r.depth > 0 || len(r.shallows) > 0) && !add(capability.Shallow) {
		return nil, &remoteError{"it cannot send a single commit: shallow is missing"}
	}
	if r.filter != "" && !add(capability.Filter) {
		return nil, &remoteError{"filter is missing"}
	}
	if caps.Supports(capability.Agent) {
		words = append(words, "agent=cachito-serverless")
	}
	var b bytes.Buffer
	e := pktline.NewEncoder(&b)
	var err error
	line := func(format string, args ...any) {
		if err == nil {
			err = e.Encodef(format+"\n", args...)
		}
	}
	for i, h := range r.wants {
		if i == 0 {
			line("want %s %s", h, strings.Join(words, " "))
		} else {
			line("want %s", h)
		}
	}
	for _, h := range r.shallows {
		line("shallow %s", h)
	}
	if r.depth > 0 {
		line("deepen %d", r.depth)
	}
	if r.filter != "" {
		line("filter %s", r.filter)
	}
	if err == nil {
		err = e.Flush()
	}
	for _, h := range r.haves {
		line("have %s", h)
	}
	line("done")
	return b.Bytes(), err
}

// packReader reads the answer to a packRequest: shallow lines, acknowledgements, then the pack in
// pkt-lines whose first byte says what they hold.
type packReader struct {
	r      *bufio.Reader
	closer io.Closer
	left   int // of the data line that is being read
	done   bool
}

const (
	bandPack     = 1
	bandProgress = 2
	bandError    = 3
)

// openPack reads up to the pack's first byte.
func openPack(rc io.ReadCloser, depth int) (*packReader, error) {
	p := &packReader{r: bufio.NewReaderSize(rc, 64<<10), closer: rc}
	shallowPart := depth > 0
	for {
		head, err := p.r.Peek(5)
		if err != nil && len(head) < 4 {
			return nil, fmt.Errorf("reading the server's answer: %w", noEOF(err))
		}
		n, err := pktLength(head)
		if err != nil {
			return nil, err
		}
		if n == 0 { // flush: the end of the shallow lines
			p.r.Discard(4)
			if !shallowPart {
				return nil, errors.New("the server's answer ended before the pack")
			}
			shallowPart = false
			continue
		}
		if !shallowPart && len(head) == 5 && head[4] <= bandError {
			return p, nil
		}
		line := make([]byte, n)
		if _, err := io.ReadFull(p.r, line); err != nil {
			return nil, fmt.Errorf("reading the server's answer: %w", noEOF(err))
		}
		text := strings.TrimSuffix(string(line[4:]), "\n")
		switch {
		case strings.HasPrefix(text, "ERR "):
			return nil, &remoteError{cut(text[4:])}
		case shallowPart && (strings.HasPrefix(text, "shallow ") || strings.HasPrefix(text, "unshallow ")):
		case text == "NAK", strings.HasPrefix(text, "ACK "):
		default:
			return nil, fmt.Errorf("the server's answer holds an unexpected line %q", cut(text))
		}
	}
}

// pktLength reads the four hex digits of a pkt-line's length, which counts themselves; 0 is a flush.
func pktLength(head []byte) (int, error) {
	n, err := strconv.ParseUint(string(head[:4]), 16, 16)
	if err != nil || n > 0 && n < 5 {
		return 0, fmt.Errorf("the server's answer is not in git's protocol: %q", head)
	}
	return int(n), nil
}

func (p *packReader) Read(b []byte) (int, error) {
	for p.left == 0 {
		if p.done {
			return 0, io.EOF
		}
		if err := p.next(); err != nil {
			return 0, err
		}
	}
	if len(b) > p.left {
		b = b[:p.left]
	}
	n, err := p.r.Read(b)
	p.left -= n
	return n, noEOF(err)
}

func (p *packReader) next() error {
	head := make([]byte, 5)
	if _, err := io.ReadFull(p.r, head[:4]); err != nil {
		return fmt.Errorf("reading the pack: %w", noEOF(err))
	}
	n, err := pktLength(head[:4])
	if err != nil {
		return err
	}
	if n == 0 {
		p.done = true
		return nil
	}
	if _, err := io.ReadFull(p.r, head[4:]); err != nil {
		return fmt.Errorf("reading the pack: %w", noEOF(err))
	}
	switch head[4] {
	case bandPack:
		p.left = n - 5
		return nil
	case bandProgress:
		_, err := p.r.Discard(n - 5)
		return noEOF(err)
	case bandError:
		message := make([]byte, n-5)
		if _, err := io.ReadFull(p.r, message); err != nil {
			return noEOF(err)
		}
		return &remoteError{cut(strings.TrimSpace(string(message)))}
	default:
		if bytes.HasPrefix(head[4:], []byte("E")) { // "ERR ..." in the middle
			return &remoteError{"it broke the transfer off"}
		}
		return fmt.Errorf("the pack holds an unknown band %d", head[4])
	}
}

func (p *packReader) Close() error { return p.closer.Close() }

func noEOF(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// cut bounds a text of the server's.
func cut(s string) string {
	if len(s) > 300 {
		s = s[:300] + "..."
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// readRefs reads a list of refs.
func readRefs(r io.Reader) (*packp.AdvRefs, error) {
	limited := &io.LimitedReader{R: r, N: MaxRefsBytes}
	buffered := bufio.NewReader(limited)
	if head, _ := buffered.Peek(8); len(head) == 8 && string(head[4:]) == "ERR " {
		rest, _ := io.ReadAll(io.LimitReader(buffered, 1000))
		return nil, &remoteError{cut(strings.TrimSpace(string(rest[8:])))}
	}
	ar := packp.NewAdvRefs()
	err := ar.Decode(buffered)
	if limited.N <= 0 {
		return nil, fmt.Errorf("the list of refs is larger than %d bytes", MaxRefsBytes)
	}
	if errors.Is(err, packp.ErrEmptyAdvRefs) {
		return ar, nil
	}
	return ar, err
}
