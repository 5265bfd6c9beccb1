import { begin } from '../shared/begin';
import '../shared/calm.css';
import App from './App.svelte';

void begin(App);
