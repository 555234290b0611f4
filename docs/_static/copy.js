// A button on each block of code copies its text. sphinx-copybutton would be a dependency for these lines.
document.addEventListener("DOMContentLoaded", () => {
  for (const block of document.querySelectorAll("div.highlight")) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = "copy-code";
    button.textContent = "Copy";
    button.setAttribute("aria-label", "Copy this block");
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(block.querySelector("pre").textContent);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Select and copy"; // the browser does not allow it
      }
      button.addEventListener("blur", () => { button.textContent = "Copy"; }, { once: true });
    });
    block.append(button);
  }
});
