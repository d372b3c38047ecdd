package packages

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// The wire form has its keys sorted, as all of the API's answers.
type wirePackage struct {
	Dependencies []Dependency `json:"dependencies"`
	Name         string       `json:"name"`
	Path         string       `json:"path,omitempty"`
	Type         string       `json:"type"`
	Version      *string      `json:"version"`
}

type wireDependency struct {
	Bundled  *bool            `json:"bundled,omitempty"`
	Dev      *bool            `json:"dev,omitempty"`
	Name     string           `json:"name"`
	Replaces *json.RawMessage `json:"replaces,omitempty"`
	Type     string           `json:"type"`
	Version  *string          `json:"version"`
}

var null = json.RawMessage("null")

// MarshalJSON gives the form of the packages data.
func (p Package) MarshalJSON() ([]byte, error) {
	w := wirePackage{p.Dependencies, p.Name, p.Path, p.Type, p.Version}
	if w.Dependencies == nil {
		w.Dependencies = []Dependency{}
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the form of the packages data.
func (p *Package) UnmarshalJSON(raw []byte) error {
	var w wirePackage
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	*p = Package{Name: w.Name, Type: w.Type, Version: w.Version, Path: w.Path, Dependencies: w.Dependencies}
	return nil
}

// MarshalJSON gives the form of the packages data: dev, bundled and replaces only where they are known.
func (d Dependency) MarshalJSON() ([]byte, error) {
	w := wireDependency{d.Bundled, d.Dev, d.Name, nil, d.Type, d.Version}
	if d.Replaces != nil {
		raw, err := json.Marshal(d.Replaces)
		if err != nil {
			return nil, err
		}
		w.Replaces = (*json.RawMessage)(&raw)
	} else if d.HasReplaces {
		w.Replaces = &null
	}
	return json.Marshal(w)
}

// UnmarshalJSON reads the form of the packages data.
func (d *Dependency) UnmarshalJSON(raw []byte) error {
	var w struct {
		wireDependency
		Replaces json.RawMessage `json:"replaces"` // tells null from absent
	}
	if err := json.Unmarshal(raw, &w); err != nil {
		return err
	}
	*d = Dependency{Name: w.Name, Type: w.Type, Version: w.Version, Dev: w.Dev, Bundled: w.Bundled, HasReplaces: w.Replaces != nil}
	if w.Replaces != nil && string(w.Replaces) != "null" {
		d.Replaces = new(Replaced)
		return json.Unmarshal(w.Replaces, d.Replaces)
	}
	return nil
}

// Encode writes the packages data, one package after the other.
func Encode(w io.Writer, d Data) error {
	b := bufio.NewWriterSize(w, 64<<10)
	b.WriteString(`{"packages": [`)
	for i, p := range d.Packages {
		if i > 0 {
			b.WriteString(", ")
		}
		raw, err := json.Marshal(p)
		if err != nil {
			return fmt.Errorf("encoding package %s: %w", p, err)
		}
		b.Write(raw)
	}
	b.WriteString("]}\n")
	return b.Flush()
}

// Decode reads what Encode wrote, one package after the other. Equal texts share their memory: the packages
// of a large Go repository name the same few hundred dependencies half a million times.
func Decode(r io.Reader) (Data, error) {
	var d Data
	same := interner{texts: map[string]string{}, versions: map[string]*string{}}
	dec := json.NewDecoder(bufio.NewReaderSize(r, 64<<10))
	if err := expect(dec, json.Delim('{')); err != nil {
		return d, err
	}
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return d, fmt.Errorf("packages data: %w", err)
		}
		if key != "packages" {
			var skipped json.RawMessage
			if err := dec.Decode(&skipped); err != nil {
				return d, fmt.Errorf("packages data: %w", err)
			}
			continue
		}
		if err := expect(dec, json.Delim('[')); err != nil {
			return d, err
		}
		for dec.More() {
			var p Package
			if err := dec.Decode(&p); err != nil {
				return d, fmt.Errorf("packages data, package %d: %w", len(d.Packages)+1, err)
			}
			d.Packages = append(d.Packages, same.pack(p))
		}
		if err := expect(dec, json.Delim(']')); err != nil {
			return d, err
		}
	}
	if err := expect(dec, json.Delim('}')); err != nil {
		return d, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return d, fmt.Errorf("packages data: more than one value, the second ends at byte %d", dec.InputOffset())
	}
	return d, nil
}

// interner keeps one of each text.
type interner struct {
	texts    map[string]string
	versions map[string]*string
}

func (in interner) text(s string) string {
	if one, ok := in.texts[s]; ok {
		return one
	}
	in.texts[s] = s
	return s
}

func (in interner) version(v *string) *string {
	if v == nil {
		return nil
	}
	if one, ok := in.versions[*v]; ok {
		return one
	}
	in.versions[*v] = v
	return v
}

// pack makes a package as small as it can be.
func (in interner) pack(p Package) Package {
	p.Type, p.Version = in.text(p.Type), in.version(p.Version)
	list := make([]Dependency, len(p.Dependencies))
	for i, d := range p.Dependencies {
		d.Name, d.Type, d.Version = in.text(d.Name), in.text(d.Type), in.version(d.Version)
		list[i] = d
	}
	p.Dependencies = list
	return p
}

func expect(dec *json.Decoder, want json.Delim) error {
	got, err := dec.Token()
	if err != nil {
		return fmt.Errorf("packages data: %w", err)
	}
	if got != want {
		return fmt.Errorf("packages data: expected %v at byte %d, got %v", want, dec.InputOffset(), got)
	}
	return nil
}
