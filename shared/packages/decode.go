package packages

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
)

// Decode reads the packages that Encode wrote, one dependency after the other; artifacts are passed over.
// Equal texts share their memory: the packages of a large Go repository name the same few hundred
// dependencies half a million times.
func Decode(r io.Reader) (Data, error) {
	d := newDecoder(r)
	err := d.read(map[string]func() error{"packages": d.packages})
	return d.data, err
}

// DecodeAll reads the artifacts as well.
func DecodeAll(r io.Reader) (Data, error) {
	d := newDecoder(r)
	err := d.read(map[string]func() error{"packages": d.packages, "artifacts": d.artifacts})
	return d.data, err
}

// Walk reads the packages one after the other and holds none of them; an error of each ends it. Equal texts
// share their memory here as well.
func Walk(r io.Reader, each func(p Package) error) error {
	d := newDecoder(r)
	n := 0
	return d.read(map[string]func() error{"packages": func() error {
		return d.list(func() error {
			p, err := d.onePackage()
			if n++; err != nil {
				return fmt.Errorf("package %d: %w", n, err)
			}
			return each(p)
		})
	}})
}

type decoder struct {
	*json.Decoder
	data Data
	same interner
}

func newDecoder(r io.Reader) *decoder {
	return &decoder{
		Decoder: json.NewDecoder(bufio.NewReaderSize(r, 64<<10)),
		same:    interner{texts: map[string]string{}, versions: map[string]*string{}},
	}
}

// read reads the whole document; of its members those that have a reader.
func (d *decoder) read(members map[string]func() error) error {
	if err := d.members(members); err != nil {
		return fmt.Errorf("packages data: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return fmt.Errorf("packages data: more than one value, the second ends at byte %d", d.InputOffset())
	}
	return nil
}

// members reads an object. What has no reader is passed over without being held.
func (d *decoder) members(readers map[string]func() error) error {
	if err := d.expect(json.Delim('{')); err != nil {
		return err
	}
	for d.More() {
		key, err := d.Token()
		if err != nil {
			return err
		}
		read, known := readers[key.(string)]
		if !known {
			read = d.skip
		}
		if err := read(); err != nil {
			return err
		}
	}
	return d.expect(json.Delim('}'))
}

// list reads an array, each element with one.
func (d *decoder) list(one func() error) error {
	if err := d.expect(json.Delim('[')); err != nil {
		return err
	}
	for d.More() {
		if err := one(); err != nil {
			return err
		}
	}
	return d.expect(json.Delim(']'))
}

func (d *decoder) skip() error {
	for depth := 0; ; {
		t, err := d.Token()
		if err != nil {
			return err
		}
		switch t {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
		if depth == 0 {
			return nil
		}
	}
}

func (d *decoder) expect(want json.Delim) error {
	got, err := d.Token()
	if err != nil {
		return err
	}
	if got != want {
		return fmt.Errorf("expected %v at byte %d, got %v", want, d.InputOffset(), got)
	}
	return nil
}

func (d *decoder) packages() error {
	return d.list(func() error {
		p, err := d.onePackage()
		if err != nil {
			return fmt.Errorf("package %d: %w", len(d.data.Packages)+1, err)
		}
		d.data.Packages = append(d.data.Packages, p)
		return nil
	})
}

func (d *decoder) onePackage() (Package, error) {
	var p Package
	text := func(into *string) func() error { return func() error { return d.Decoder.Decode(into) } }
	err := d.members(map[string]func() error{
		"name": text(&p.Name), "type": text(&p.Type), "path": text(&p.Path),
		"version": func() error { return d.Decoder.Decode(&p.Version) },
		"dependencies": func() error {
			return d.list(func() error {
				var one Dependency
				if err := d.Decoder.Decode(&one); err != nil {
					return fmt.Errorf("dependency %d: %w", len(p.Dependencies)+1, err)
				}
				p.Dependencies = append(p.Dependencies, d.same.dependency(one))
				return nil
			})
		},
	})
	p.Type, p.Version = d.same.text(p.Type), d.same.version(p.Version)
	p.Dependencies = append(make([]Dependency, 0, len(p.Dependencies)), p.Dependencies...) // no spare room
	return p, err
}

func (d *decoder) artifacts() error {
	return d.list(func() error {
		var a Artifact
		if err := d.Decoder.Decode(&a); err != nil {
			return fmt.Errorf("artifact %d: %w", len(d.data.Artifacts)+1, err)
		}
		d.data.Artifacts = append(d.data.Artifacts, a)
		return nil
	})
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

// dependency makes a dependency as small as it can be.
func (in interner) dependency(d Dependency) Dependency {
	d.Name, d.Type, d.Version = in.text(d.Name), in.text(d.Type), in.version(d.Version)
	return d
}
