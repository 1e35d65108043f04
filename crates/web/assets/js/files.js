// Files that are attached to a message: chosen, dropped or pasted, with a preview of pictures. They are kept in the field
// of the form, so that it could be sent without scripts too.

const PICTURES = /^image\/(png|jpeg|gif|webp|avif)$/;

function size(bytes) {
  const [unit, divisor] = bytes >= 1e6 ? ["megabyte", 1e6] : ["kilobyte", 1e3];
  const format = { style: "unit", unit, maximumFractionDigits: bytes >= 1e6 ? 1 : 0 };
  return new Intl.NumberFormat(document.documentElement.lang, format).format(Math.max(bytes / divisor, 1));
}

/** Shows the files of a form, and adds those that are dropped on `area` or pasted into the form. */
export function attachFiles(form, area) {
  const field = form.elements.files;
  const list = document.getElementById("chosen");
  const template = document.getElementById("chosen-file");
  if (!field) return { clear: () => {} };
  let urls = [];

  function set(files) {
    const data = new DataTransfer();
    for (const file of field.multiple ? files : files.slice(-1)) data.items.add(file);
    field.files = data.files;
    show();
  }

  function show() {
    for (const url of urls) URL.revokeObjectURL(url);
    urls = [];
    const files = [...field.files];
    const rows = files.map((file) => {
      const row = template.content.firstElementChild.cloneNode(true);
      row.querySelector(".cut").textContent = file.name;
      row.querySelector(".small").textContent = size(file.size);
      if (PICTURES.test(file.type)) {
        const picture = document.createElement("img");
        picture.src = URL.createObjectURL(file);
        picture.alt = "";
        urls.push(picture.src);
        row.querySelector(".icon").replaceWith(picture);
      }
      const button = row.querySelector("button");
      button.setAttribute("aria-label", `${button.getAttribute("aria-label")}: ${file.name}`);
      button.addEventListener("click", () => {
        set([...field.files].filter((other) => other !== file));
        form.elements.content.focus();
      });
      return row;
    });
    list.replaceChildren(...rows);
  }

  field.addEventListener("change", show);
  form.addEventListener("paste", (event) => {
    const files = [...(event.clipboardData?.files ?? [])];
    if (files.length === 0) return;
    event.preventDefault();
    set([...field.files, ...files]);
  });
  const hasFiles = (event) => event.dataTransfer?.types.includes("Files");
  area.addEventListener("dragover", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    event.dataTransfer.dropEffect = "copy";
    form.classList.add("dropping");
  });
  area.addEventListener("dragleave", (event) => {
    if (!area.contains(event.relatedTarget)) form.classList.remove("dropping");
  });
  area.addEventListener("drop", (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    form.classList.remove("dropping");
    set([...field.files, ...event.dataTransfer.files]);
    form.elements.content.focus();
  });
  return { clear: () => set([]) };
}
