// A file dropped on the frame is chosen as if by its button.
for (const frame of document.querySelectorAll("[data-drop]")) {
  const input = frame.querySelector("input[type=file]");
  frame.querySelector(".drop__hint").hidden = false;
  const light = (over) => frame.classList.toggle("drop--over", over);

  frame.addEventListener("dragover", (event) => {
    event.preventDefault();
    light(true);
  });
  frame.addEventListener("dragleave", (event) => {
    if (!frame.contains(event.relatedTarget)) light(false);
  });
  frame.addEventListener("drop", (event) => {
    event.preventDefault();
    light(false);
    if (!event.dataTransfer.files.length) return;
    const one = new DataTransfer();
    one.items.add(event.dataTransfer.files[0]);
    input.files = one.files;
    input.dispatchEvent(new Event("change"));
  });

  // Said before it is sent: a server that refuses the bytes may not be heard while they still come.
  input.addEventListener("change", () => {
    const isTooLarge = input.files[0]?.size > Number(input.dataset.most);
    input.setCustomValidity(isTooLarge ? input.dataset.tooLarge : "");
    input.reportValidity();
  });
}
